package weft;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Properties;

/** The servers that tests/python/test_jdbc.py started, and connections to them. */
final class Servers {
    private static Properties settings;

    private Servers() {}

    static void settings(Properties given) {
        settings = given;
    }

    static String setting(String name) {
        String value = settings.getProperty(name);
        if (value == null) {
            throw new IllegalStateException("the settings lack " + name);
        }
        return value;
    }

    /** A setting that is there only where the test can be run; otherwise the name with `.skip` says why not. */
    static String optional(String name) {
        String value = settings.getProperty(name);
        if (value == null) {
            throw new Skipped(settings.getProperty(name + ".skip", name + " is not set"));
        }
        return value;
    }

    /** `more` follows the URL's `?`. */
    static String url(String server, String more) {
        return "jdbc:arrow-flight-sql://127.0.0.1:" + optional(server + ".port") + "/?" + more;
    }

    static Connection open(String server, String more, String... properties) throws SQLException {
        Properties given = new Properties();
        for (int index = 0; index < properties.length; index += 2) {
            given.setProperty(properties[index], properties[index + 1]);
        }
        Connection connection = DriverManager.getConnection(url(server, more), given);
        return connection.getMetaData().getDriverMajorVersion() < 16 ? leaky(connection) : connection;
    }

    /** Up to version 15 the driver never frees the parameters that it bound, and says so when it closes. */
    private static Connection leaky(Connection connection) {
        return (Connection)
                Proxy.newProxyInstance(
                        Servers.class.getClassLoader(),
                        new Class<?>[] {Connection.class},
                        (proxy, method, arguments) -> {
                            try {
                                return method.invoke(connection, arguments);
                            } catch (InvocationTargetException error) {
                                if (method.getName().equals("close") && Check.messages(error).contains("Memory was leaked")) {
                                    return null;
                                }
                                throw error.getCause();
                            }
                        });
    }

    static Connection as(String user, String server) throws SQLException {
        return open(server, "useEncryption=false", "user", user, "password", user + "-demo");
    }

    /** The mesh of jdbc_mesh.py: ana sees all of it, ben a part. */
    static Connection shop(String user) throws SQLException {
        return as(user, "shop");
    }

    /** The mesh of all_types.py. */
    static Connection types() throws SQLException {
        return as("ana", "types");
    }
}
