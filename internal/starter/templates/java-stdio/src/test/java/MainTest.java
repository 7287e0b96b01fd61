import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.Test;

class MainTest {
    @Test
    void greetsByName() {
        JsonObject answer = Main.handle(event("{'data': {'name': 'Ann'}}"));
        assertEquals("visitor.greeted", answer.get("type").getAsString());
        assertEquals("Hello, Ann!", answer.getAsJsonObject("data").get("greeting").getAsString());
    }

    @Test
    void failsWithoutAName() {
        assertThrows(IllegalArgumentException.class, () -> Main.handle(event("{'data': {}}")));
    }

    private static JsonObject event(String json) {
        return JsonParser.parseString(json).getAsJsonObject();
    }
}
