import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** Greets visitors: answers each event with another, which dalamb publishes. */
public class Main {
    static JsonObject handle(JsonObject event) {
        JsonObject visitor = event.getAsJsonObject("data");
        if (visitor == null || !visitor.has("name")) {
            throw new IllegalArgumentException("data has no name");
        }
        String name = visitor.get("name").getAsString();
        System.err.println("greeting " + name); // stderr is the log

        JsonObject data = new JsonObject();
        data.addProperty("greeting", "Hello, " + name + "!");
        JsonObject greeted = new JsonObject();
        greeted.addProperty("specversion", "1.0");
        greeted.addProperty("type", "visitor.greeted");
        greeted.addProperty("source", "/{{name}}");
        greeted.add("data", data);
        return greeted;
    }

    /** An event is a line, and so is its answer: stdout is for answers alone. */
    public static void main(String[] args) throws IOException {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line; (line = in.readLine()) != null; ) {
            JsonObject answer;
            try {
                answer = handle(JsonParser.parseString(line).getAsJsonObject());
            } catch (RuntimeException e) {
                e.printStackTrace(); // the run has failed; dalamb tries it again
                answer = new JsonObject();
                answer.addProperty("errorType", e.getClass().getSimpleName());
                answer.addProperty("errorMessage", e.getMessage());
            }
            out.println(answer);
        }
    }
}
