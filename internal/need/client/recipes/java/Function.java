import com.amazonaws.services.lambda.runtime.Context;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

public class Function {
    static {
        if (System.getenv("FAIL_INIT") != null) {
            throw new IllegalStateException("no module for cards");
        }
    }

    public static class CardError extends RuntimeException {
        CardError(String message) {
            super(message);
        }
    }

    public Object handle(Map<String, Object> event, Context context) throws Exception {
        switch ((String) event.get("do")) {
            case "echo":
                return Map.of("text", event.get("text"));
            case "fail":
                throw new CardError("no such card");
            case "sleep":
                Thread.sleep(3_600_000);
                return null;
            case "eat":
                List<byte[]> eaten = new ArrayList<>();
                while (true) {
                    byte[] more = new byte[8 << 20];
                    java.util.Arrays.fill(more, (byte) 1);
                    eaten.add(more);
                }
            case "take":
                return Map.of("size", ((String) event.get("text")).length());
            case "give":
                return "x".repeat((int) event.get("size") - 2);
            default:
                String trace = System.getProperty("com.amazonaws.xray.traceHeader");
                return Map.of(
                    "id", context.getAwsRequestId(),
                    "leftMs", context.getRemainingTimeInMillis(),
                    "trace", trace == null ? "" : trace,
                    "arn", context.getInvokedFunctionArn());
        }
    }
}
