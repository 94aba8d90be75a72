package weft;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;

/** Ways to log in, and what is said when one may not. */
final class Connect {
    private Connect() {}

    private static final String PLAIN = "useEncryption=false";

    private static void sees(List<String> user, Connection connection) throws SQLException {
        try (connection;
                Statement statement = connection.createStatement()) {
            Check.equal(user, Check.rows(statement.executeQuery("SELECT current_user")), "who");
            Check.that(connection.isValid(5), "the connection is valid");
        }
    }

    @Case
    static void withUserAndPassword() throws Exception {
        sees(List.of("ben"), Servers.open("shop", PLAIN, "user", "ben", "password", "ben-demo"));
    }

    @Case
    static void withUserAndPasswordInTheUrl() throws Exception {
        sees(List.of("ben"), Servers.open("shop", PLAIN + "&user=ben&password=ben-demo"));
    }

    @Case
    static void withAToken() throws Exception {
        sees(List.of("bi"), Servers.open("shop", PLAIN, "token", Servers.setting("shop.token")));
    }

    /** What is said of a wrong password. Who guesses has to wait after some, which is no matter here. */
    private static Exception refused(String user) throws Exception {
        while (true) {
            Exception error =
                    Check.failsInSql("UNAUTHENTICATED", () -> Servers.open("shop", PLAIN, "user", user, "password", "wrong").close());
            if (!error.getMessage().contains("too many failed logins")) {
                return error;
            }
            Thread.sleep(500);
        }
    }

    @Case
    static void aWrongPasswordIsRefused() throws Exception {
        // Not one that other cases log in as, since they would have to wait too.
        Check.that(refused("carla").getMessage().contains("user name or password is wrong"), "it says so");
    }

    @Case
    static void anUnknownUserIsRefusedInTheSameWords() throws Exception {
        Check.equal(withoutIds(refused("carla")), withoutIds(refused("nobody")), "what is said of an unknown user");
    }

    private static String withoutIds(Exception error) {
        return Check.messages(error).replaceAll("[0-9a-fA-F-]{16,}", "ID");
    }

    @Case
    static void aWrongTokenIsRefused() throws Exception {
        Check.failsInSql("UNAUTHENTICATED", () -> Servers.open("shop", PLAIN, "token", "wrong").close());
    }

    @Case
    static void nobodyIsRefused() throws Exception {
        Check.fails(
                "UNAUTHENTICATED",
                () -> {
                    try (Connection connection = Servers.open("shop", PLAIN);
                            Statement statement = connection.createStatement()) {
                        statement.executeQuery("SELECT 1");
                    }
                });
    }

    /** What the driver does not know it sends as headers: those that weft does not know change nothing. */
    @Case
    static void anUnknownPropertyIsIgnored() throws Exception {
        sees(List.of("ben"), Servers.open("shop", PLAIN + "&colour=red", "user", "ben", "password", "ben-demo"));
    }

    @Case
    static void errorsSayWhatIsWrong() throws Exception {
        try (Connection connection = Servers.shop("ben");
                Statement statement = connection.createStatement()) {
            SQLException syntax = Check.failsInSql("line 1", () -> statement.executeQuery("SELEC 1"));
            Check.that(Check.messages(syntax).contains("INVALID_ARGUMENT"), Check.messages(syntax));
            Check.failsInSql("shop.payroll", () -> statement.executeQuery("SELECT * FROM shop.payroll"));
            Check.failsInSql("margin", () -> statement.executeQuery("SELECT margin FROM shop.orders"));
            Check.failsInSql("weft is read-only", () -> statement.executeUpdate("DELETE FROM shop.orders"));
            Check.failsInSql("weft is read-only", () -> statement.execute("CREATE TABLE shop.t (a INT)"));
            // And the connection goes on.
            Check.equal(List.of("1"), Check.rows(statement.executeQuery("SELECT 1")), "after errors");
        }
    }

    /** A hidden table is not to be told from one that never was. */
    @Case
    static void whatIsHiddenIsNotThere() throws Exception {
        try (Connection connection = Servers.shop("ben");
                Statement statement = connection.createStatement()) {
            Exception hidden = Check.fails("NOT_FOUND", () -> statement.executeQuery("SELECT * FROM shop.payroll"));
            Exception none = Check.fails("NOT_FOUND", () -> statement.executeQuery("SELECT * FROM shop.nothing"));
            Check.equal(withoutIds(none).replace("nothing", "payroll"), withoutIds(hidden), "what is said of a hidden table");
        }
    }

    /** weft reads only, and every statement is a transaction of its own. */
    @Case
    static void transactions() throws Exception {
        try (Connection connection = Servers.shop("ben")) {
            Check.that(connection.getAutoCommit(), "auto-commit is on");
            Check.equal(Connection.TRANSACTION_NONE, connection.getMetaData().getDefaultTransactionIsolation(), "isolation");
            Check.that(!connection.getMetaData().supportsTransactions(), "no transactions");
        }
    }
}
