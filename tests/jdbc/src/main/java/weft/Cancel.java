package weft;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/** Statements that are ended before they end. Not on the server whose connections {@link Pool} counts. */
final class Cancel {
    private Cancel() {}

    private static final String PAIRS = "FROM generate_series(1,100000) x CROSS JOIN generate_series(1,100000) y";
    /** Rows come, and never stop. */
    private static final String ROWS = "SELECT x.value AS x, y.value AS y " + PAIRS;
    /** No row comes. */
    private static final String NO_ROW = "SELECT count(*) AS n " + PAIRS + " WHERE x.value + y.value < 1";

    private static void read(ResultSet result) throws SQLException {
        try (result) {
            while (result.next()) {
                result.getLong(1);
            }
        }
    }

    /** Reads `sql` until another thread cancels it, and returns how many milliseconds it lasted after that. */
    private static long cancelled(Connection connection, String sql) throws Exception {
        try (Statement statement = connection.createStatement()) {
            AtomicBoolean isOver = new AtomicBoolean();
            CompletableFuture<Long> canceller =
                    CompletableFuture.supplyAsync(
                            () -> {
                                long first = System.nanoTime();
                                // Again and again: before the statement runs the driver has nothing to cancel.
                                while (!isOver.get()) {
                                    try {
                                        statement.cancel();
                                        Thread.sleep(100);
                                    } catch (Exception error) {
                                        // As with reading: the driver frees what is in use.
                                    }
                                }
                                return first;
                            },
                            CompletableFuture.delayedExecutor(200, TimeUnit.MILLISECONDS));
            try {
                wasCancelled(() -> read(statement.executeQuery(sql)));
            } finally {
                isOver.set(true);
            }
            long over = System.nanoTime();
            return (over - canceller.get()) / 1_000_000;
        }
    }

    /**
     * What the driver says depends on the moment: that it was cancelled, or what becomes of reading
     * memory that another thread has freed. What the server says does not.
     */
    private static void wasCancelled(Check.Action action) throws Exception {
        String said = Check.messages(Check.fails("", action));
        Check.that(!said.contains("FlightRuntimeException") || said.contains("CANCELLED"), said);
    }

    private static void works(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            Check.equal(List.of("2"), Check.rows(statement.executeQuery("SELECT count(*) FROM kinds.long_text WHERE id < 3")), "the next statement");
        }
    }

    /**
     * Closes a connection on which rows came when another thread cancelled: the driver may forget to
     * free what it reads and throws away in that moment, and says so when it is closed. Its own
     * memory: what the server holds is looked at by {@link Pool#isIdle}.
     */
    private static void closeAfterRows(Connection connection) {
        try {
            connection.close();
        } catch (SQLException error) {
            Check.that(Check.messages(error).contains("Memory was leaked"), Check.messages(error));
        }
    }

    @Case
    static void whileRowsCome() throws Exception {
        Connection connection = Servers.types();
        try {
            long lasted = cancelled(connection, ROWS);
            Check.that(lasted < 3000, "it ended " + lasted + " ms after it was cancelled");
            works(connection);
        } finally {
            closeAfterRows(connection);
        }
        Pool.isIdle("types");
    }

    @Case
    static void whileNoRowComes() throws Exception {
        try (Connection connection = Servers.types()) {
            long lasted = cancelled(connection, NO_ROW);
            Check.that(lasted < 3000, "it ended " + lasted + " ms after it was cancelled");
            works(connection);
        }
    }

    /** More of them than the server runs at a time: each gives back what it took. */
    @Case
    static void againAndAgain() throws Exception {
        Connection connection = Servers.types();
        try {
            for (int time = 0; time < 8; time++) {
                cancelled(connection, time % 2 == 0 ? ROWS : NO_ROW);
            }
            works(connection);
        } finally {
            closeAfterRows(connection);
        }
        Pool.isIdle("types");
    }

    @Case
    static void byClosingTheResult() throws Exception {
        try (Connection connection = Servers.types();
                Statement statement = connection.createStatement()) {
            ResultSet result = statement.executeQuery(ROWS);
            result.next();
            result.close();
            works(connection);
        }
        Pool.isIdle("types");
    }

    /** Not by closing the connection alone: the driver then leaves all as it is, and says that memory leaked. */
    @Case
    static void byClosingTheStatement() throws Exception {
        try (Connection connection = Servers.types()) {
            Statement statement = connection.createStatement();
            statement.executeQuery(ROWS).next();
            statement.close();
            works(connection);
        }
        Pool.isIdle("types");
    }

    /** The driver gives up, and forgets the stream until the connection is closed: it has one thread to read with. */
    @Case
    static void byATimeout() throws Exception {
        try (Connection connection = Servers.types();
                Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            long began = System.nanoTime();
            Check.failsInSql("timed out", () -> read(statement.executeQuery(NO_ROW)));
            long lasted = (System.nanoTime() - began) / 1_000_000;
            Check.that(lasted < 5000, "it ended after " + lasted + " ms");
        }
        Pool.isIdle("types");
    }
}
