package weft;

import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Many statements at a time, and what they leave behind. */
final class Pool {
    private Pool() {}

    private static final int CONNECTIONS = 10;
    private static final long MEGABYTE = 1024 * 1024;

    /** As many statements, one after another on each of ten connections that twenty threads share. */
    private static void run(int statements) throws Exception {
        BlockingQueue<Connection> pool = new ArrayBlockingQueue<>(CONNECTIONS);
        for (int number = 0; number < CONNECTIONS; number++) {
            pool.add(Servers.shop("ben"));
        }
        ExecutorService threads = Executors.newFixedThreadPool(2 * CONNECTIONS);
        List<Future<List<String>>> answers = new ArrayList<>();
        for (int number = 0; number < statements; number++) {
            int asked = number;
            answers.add(
                    threads.submit(
                            () -> {
                                Connection connection = pool.take();
                                try {
                                    return ask(connection, asked);
                                } finally {
                                    pool.add(connection);
                                }
                            }));
        }
        for (int number = 0; number < statements; number++) {
            Check.equal(List.of(String.valueOf(number + 3)), answers.get(number).get(), "answer " + number);
        }
        threads.shutdown();
        Check.equal(CONNECTIONS, openConnections(), "connections while the pool is open");
        for (Connection connection : pool) {
            connection.close();
        }
    }

    private static List<String> ask(Connection connection, long number) throws SQLException {
        String sql = "SELECT order_id + ? FROM shop.orders WHERE region = 'west'";
        if (connection.getMetaData().getDriverMajorVersion() < 16) {
            // Up to version 15 the driver keeps a connection open in which a parameter was bound.
            try (Statement statement = connection.createStatement()) {
                return Check.rows(statement.executeQuery(sql.replace("?", String.valueOf(number))));
            }
        }
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setLong(1, number);
            return Check.rows(statement.executeQuery());
        }
    }

    @Case
    static void twoHundredStatementsOverTenConnections() throws Exception {
        // What other cases closed may still be closing.
        eventually("no connection is open before", () -> openConnections() == 0);
        // The first time fills caches; after that nothing more is kept.
        run(200);
        eventually("all connections are closed", () -> openConnections() == 0);
        long before = serverMemory();
        run(100);
        eventually("all connections are closed again", () -> openConnections() == 0);
        long grown = serverMemory() - before;
        Check.that(grown < 32 * MEGABYTE, "the server grew by " + grown / MEGABYTE + " MiB in 100 statements");
        isIdle("shop");
    }

    /** Of this process to the server: a line each in /proc/net/tcp, state 01 if established. */
    private static int openConnections() throws Exception {
        String remote = String.format(":%04X", Integer.parseInt(Servers.setting("shop.port")));
        Path table = Path.of("/proc/self/net/tcp");
        if (!Files.exists(table)) {
            throw new Skipped("open connections are counted in " + table);
        }
        int open = 0;
        List<String> lines = new ArrayList<>(Files.readAllLines(table));
        // IPv4 addresses in an IPv6 socket, which is what the JVM opens.
        lines.addAll(Files.readAllLines(Path.of("/proc/self/net/tcp6")));
        for (String line : lines) {
            String[] parts = line.trim().split("\\s+");
            if (parts[2].endsWith(remote) && parts[3].equals("01")) {
                open++;
            }
        }
        return open;
    }

    private static long serverMemory() throws Exception {
        for (String line : Files.readAllLines(Path.of("/proc/" + Servers.setting("shop.pid") + "/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
            }
        }
        throw new IllegalStateException("no VmRSS");
    }

    /** Ticks (10 ms) that the server has computed for. */
    private static long ticks(String server) throws Exception {
        String stat = Files.readString(Path.of("/proc/" + Servers.setting(server + ".pid") + "/stat"));
        String[] parts = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return Long.parseLong(parts[11]) + Long.parseLong(parts[12]);
    }

    /** A statement that goes on though nobody reads it would show here. */
    static void isIdle(String server) throws Exception {
        eventually(
                "the server is idle, as nothing runs",
                () -> {
                    long before = ticks(server);
                    Thread.sleep(300);
                    return ticks(server) - before < 5;
                });
    }

    private interface Condition {
        boolean holds() throws Exception;
    }

    private static void eventually(String what, Condition condition) throws Exception {
        long deadline = System.nanoTime() + 10_000_000_000L;
        while (!condition.holds()) {
            Check.that(System.nanoTime() < deadline, "not within 10 s: " + what + " (" + openConnections() + " connections are open)");
            Thread.sleep(50);
        }
    }
}
