import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.Socket;
import java.net.UnknownHostException;
import java.security.Security;

/** Looks names up now and then, with a session that it asks in between. Complains with `error ...`. */
public class Lookups {
    public static void main(String[] arguments) throws Exception {
        // The JVM's own cache of answers: the shortest there is, short of none.
        Security.setProperty("networkaddress.cache.ttl", "1");
        Security.setProperty("networkaddress.cache.negative.ttl", "0");
        Socket session = new Socket("127.0.0.1", 7000);
        BufferedReader answers = new BufferedReader(new InputStreamReader(session.getInputStream()));
        for (long round = 0;; round++) {
            try {
                InetAddress.getByName("java" + round % 4 + ".example");
            } catch (UnknownHostException error) {
                System.out.println("error: lookup: " + error);
            }
            session.getOutputStream().write("there\n".getBytes());
            if (!"there".equals(answers.readLine())) System.out.println("error: the session has ended");
            Thread.sleep(200);
        }
    }
}
