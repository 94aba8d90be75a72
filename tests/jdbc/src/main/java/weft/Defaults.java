package weft;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;

/** The catalog and the schema in which names without them are looked up. */
final class Defaults {
    private Defaults() {}

    private static final String PLAIN = "useEncryption=false&user=ben&password=ben-demo";

    private static List<String> orders(Connection connection, String table) throws Exception {
        try (Statement statement = connection.createStatement()) {
            return Check.rows(statement.executeQuery("SELECT count(*) FROM " + table));
        }
    }

    @Case
    static void aSchemaInTheUrl() throws Exception {
        try (Connection connection = Servers.open("shop", PLAIN + "&schema=shop")) {
            Check.equal(List.of("2"), orders(connection, "orders"), "orders");
            Check.equal(List.of("2"), orders(connection, "shop.orders"), "shop.orders");
            Check.equal(List.of("2"), orders(connection, "acme.shop.orders"), "acme.shop.orders");
        }
    }

    @Case
    static void withoutASchemaThereIsNoSuchTable() throws Exception {
        try (Connection connection = Servers.open("shop", PLAIN)) {
            Check.failsInSql("NOT_FOUND", () -> orders(connection, "orders"));
        }
        try (Connection connection = Servers.open("shop", PLAIN + "&schema=hr_data")) {
            Check.failsInSql("NOT_FOUND", () -> orders(connection, "orders"));
        }
    }

    /** No more than one that never was. */
    @Case
    static void aHiddenSchemaIsNotThere() throws Exception {
        for (String schema : List.of("vault", "nothing")) {
            Check.fails(
                    "NOT_FOUND",
                    () -> {
                        try (Connection connection = Servers.open("shop", PLAIN + "&schema=" + schema)) {
                            orders(connection, "formulas");
                        }
                    });
        }
    }

    /** A session option from version 16 on; before that a header like any other. */
    @Case
    static void aCatalogInTheUrl() throws Exception {
        for (String more : List.of("&catalog=acme", "&catalog=acme&schema=shop")) {
            Connection connection = Servers.open("shop", PLAIN + more);
            Check.equal(List.of("2"), orders(connection, more.endsWith("shop") ? "orders" : "shop.orders"), "orders");
            try {
                connection.close();
            } catch (SQLException error) {
                // The driver closes its session twice, the second time over a connection that is closed.
                Check.equal("Channel shutdown invoked", error.getMessage(), "what closing says");
            }
        }
    }

    @Case
    static void anUnknownCatalogIsRefused() throws Exception {
        Check.fails(
                "catalog",
                () -> {
                    try (Connection connection = Servers.open("shop", PLAIN + "&catalog=nothing")) {
                        orders(connection, "shop.orders");
                    }
                });
    }

    /** The driver keeps these to itself: nothing is sent. */
    @Case
    static void setCatalogAndSetSchema() throws Exception {
        try (Connection connection = Servers.open("shop", PLAIN)) {
            connection.setCatalog("acme");
            Check.equal("acme", connection.getCatalog(), "the catalog");
            connection.setSchema("shop");
            Check.equal("shop", connection.getSchema(), "the schema");
            Check.equal(List.of("2"), orders(connection, "shop.orders"), "shop.orders");
            Check.failsInSql("NOT_FOUND", () -> orders(connection, "orders"));
        }
    }
}
