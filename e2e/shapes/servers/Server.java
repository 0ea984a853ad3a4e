import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

/** The JDK's own server with a slow answer. Its argument is how long its shutdown hook waits; without one there is no hook. */
public class Server {
    private static final byte[] HALF = ("x".repeat(511) + "\n").getBytes();

    public static void main(String[] arguments) throws IOException {
        var server = HttpServer.create(new InetSocketAddress(8080), 64);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", Server::answer);
        server.start();
        if (arguments.length > 0) {
            int seconds = Integer.parseInt(arguments[0]);
            Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(seconds)));
        }
    }

    private static void answer(HttpExchange exchange) throws IOException {
        var query = exchange.getRequestURI().getQuery();
        boolean slow = exchange.getRequestURI().getPath().equals("/slow") && query != null;
        exchange.getResponseHeaders().set("Content-Type", "text/plain");
        exchange.sendResponseHeaders(200, 2 * HALF.length);
        try (var body = exchange.getResponseBody()) {
            body.write(HALF);
            body.flush();
            Thread.sleep(slow ? (long) (1000 * Double.parseDouble(query.replace("seconds=", ""))) : 0);
            body.write(HALF);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
