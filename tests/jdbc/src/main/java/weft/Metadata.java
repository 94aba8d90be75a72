package weft;

import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.List;

/** Catalogs, schemas, tables, columns and keys, against the contracts of jdbc_mesh.py. */
final class Metadata {
    private Metadata() {}

    private interface Asked {
        void of(DatabaseMetaData metadata) throws Exception;
    }

    private static void as(String user, Asked asked) throws Exception {
        try (Connection connection = Servers.shop(user)) {
            asked.of(connection.getMetaData());
        }
    }

    private static List<String> tables(DatabaseMetaData metadata, String schema, String table, String... types) throws SQLException {
        String[] wanted = types.length == 0 ? null : types;
        return Check.rows(metadata.getTables(null, schema, table, wanted), "TABLE_SCHEM", "TABLE_NAME");
    }

    private static List<String> columns(DatabaseMetaData metadata, String table, String column) throws SQLException {
        return Check.rows(metadata.getColumns(null, "shop", table, column), "TABLE_NAME", "COLUMN_NAME");
    }

    /** weft's own schemas `information_schema` and `system` are no part of the mesh. */
    private static List<String> ofTheMesh(List<String> names) {
        return names.stream().filter(name -> !name.matches("(system|information_schema)\\b.*")).toList();
    }

    @Case
    static void catalogs() throws Exception {
        as("ben", metadata -> Check.equal(List.of("acme"), Check.rows(metadata.getCatalogs(), "TABLE_CAT"), "catalogs"));
    }

    @Case
    static void schemas() throws Exception {
        as(
                "ana",
                metadata -> {
                    List<String> all = ofTheMesh(Check.rows(metadata.getSchemas(), "TABLE_SCHEM", "TABLE_CATALOG"));
                    Check.equal(List.of("hr1data acme", "hr_data acme", "shop acme", "vault acme"), all, "schemas of ana");
                });
        as(
                "ben",
                metadata -> {
                    Check.equal(List.of("hr1data", "hr_data", "shop"), ofTheMesh(Check.rows(metadata.getSchemas(), "TABLE_SCHEM")), "schemas of ben");
                    Check.equal(List.of("hr1data", "hr_data"), Check.rows(metadata.getSchemas(null, "hr_data"), "TABLE_SCHEM"), "_ is any letter");
                    Check.equal(List.of("hr_data"), Check.rows(metadata.getSchemas("acme", "hr\\_data"), "TABLE_SCHEM"), "\\_ is _");
                    Check.equal(List.of(), Check.rows(metadata.getSchemas(null, "vault"), "TABLE_SCHEM"), "hidden");
                    Check.equal(List.of(), Check.rows(metadata.getSchemas("nothing", null), "TABLE_SCHEM"), "in no catalog");
                    // JDBC: "" retrieves those without a catalog.
                    Check.equal(List.of(), Check.rows(metadata.getSchemas("", null), "TABLE_SCHEM"), "without a catalog");
                });
    }

    @Case
    static void tableTypes() throws Exception {
        as("ben", metadata -> Check.that(Check.rows(metadata.getTableTypes(), "TABLE_TYPE").contains("TABLE"), "TABLE is a type"));
    }

    @Case
    static void tablesThatOneSees() throws Exception {
        as(
                "ana",
                metadata ->
                        Check.equal(
                                List.of("shop key_parts", "shop order1lines", "shop order_lines", "shop orders", "shop payroll"),
                                tables(metadata, "shop", null),
                                "tables of ana"));
        as(
                "ben",
                metadata -> {
                    List<String> all =
                            List.of(
                                    "hr1data people",
                                    "hr_data people",
                                    "shop key_parts",
                                    "shop order1lines",
                                    "shop order_lines",
                                    "shop orders");
                    Check.equal(all, ofTheMesh(tables(metadata, null, null)), "null means all");
                    Check.equal(all, ofTheMesh(tables(metadata, "%", "%")), "% means all");
                    Check.equal(all, ofTheMesh(tables(metadata, null, null, "TABLE")), "TABLE");
                    Check.equal(all, ofTheMesh(tables(metadata, null, null, "TABLE", "SYNONYM")), "TABLE and SYNONYM");
                    Check.equal(List.of(), tables(metadata, "shop", null, "SYNONYM"), "SYNONYM");
                    Check.equal(List.of(), tables(metadata, "vault", null), "of a hidden schema");
                    Check.equal(List.of(), tables(metadata, "shop", "payroll"), "a hidden table");
                });
    }

    @Case
    static void patternsOfTables() throws Exception {
        as(
                "ben",
                metadata -> {
                    Check.equal(List.of("shop order1lines", "shop order_lines", "shop orders"), tables(metadata, "shop", "ord%"), "ord%");
                    Check.equal(List.of("shop order1lines", "shop order_lines"), tables(metadata, "shop", "order_lines"), "order_lines");
                    Check.equal(List.of("shop order_lines"), tables(metadata, "shop", "order\\_lines"), "order\\_lines");
                    Check.equal(List.of("shop orders"), tables(metadata, "shop", "order_"), "order_");
                    Check.equal(List.of("shop order_lines"), tables(metadata, "sh%", "%\\_lines"), "%\\_lines");
                    Check.equal(List.of(), tables(metadata, "shop", "order"), "order");
                    Check.equal(List.of(), tables(metadata, "shop", ""), "the empty name");
                    Check.equal(List.of("hr_data people"), tables(metadata, "hr\\_data", "people"), "hr\\_data");
                });
    }

    /** What JDBC says of a column; in this order below. */
    private static final String[] COLUMN = {
        "TABLE_CAT",
        "TABLE_SCHEM",
        "TABLE_NAME",
        "ORDINAL_POSITION",
        "COLUMN_NAME",
        "DATA_TYPE",
        "TYPE_NAME",
        "COLUMN_SIZE",
        "DECIMAL_DIGITS",
        "NUM_PREC_RADIX",
        "NULLABLE",
        "IS_NULLABLE",
        "IS_AUTOINCREMENT",
    };

    @Case
    static void columnsAsTheContractHasThem() throws Exception {
        as(
                "ben",
                metadata -> {
                    // Before version 16 the driver tells no instant from a date and time without zone.
                    int instant = metadata.getDriverMajorVersion() < 16 ? Types.TIMESTAMP : Types.TIMESTAMP_WITH_TIMEZONE;
                    // The place of a column is the one among those that one sees.
                    Check.equal(
                            List.of(
                                    "acme shop orders 1 order_id " + Types.BIGINT + " BIGINT 19 0 10 0 NO NO",
                                    "acme shop orders 2 region " + Types.VARCHAR + " VARCHAR 65536 null null 0 NO NO",
                                    "acme shop orders 3 amount " + Types.DECIMAL + " DECIMAL 12 2 10 1 YES NO",
                                    "acme shop orders 4 weight " + Types.FLOAT + " REAL 7 null 10 1 YES NO",
                                    "acme shop orders 5 pieces " + Types.INTEGER + " INTEGER 10 0 10 0 NO NO",
                                    "acme shop orders 6 paid " + Types.BOOLEAN + " BOOLEAN 1 null null 1 YES NO",
                                    "acme shop orders 7 due " + Types.DATE + " DATE 10 0 null 1 YES NO",
                                    "acme shop orders 8 ordered_at " + instant + " TIMESTAMP WITH TIME ZONE 26 6 null 1 YES NO",
                                    "acme shop orders 9 note " + Types.VARCHAR + " VARCHAR 65536 null null 1 YES NO"),
                            Check.rows(metadata.getColumns(null, "shop", "orders", null), COLUMN),
                            "columns");
                });
    }

    @Case
    static void remarksAreTheContractsDescriptions() throws Exception {
        as(
                "ben",
                metadata -> {
                    // Before version 16 the driver reads no remarks.
                    boolean reads = metadata.getDriverMajorVersion() >= 16;
                    Check.equal(
                            reads ? List.of("order_id One an order.", "amount In €, “net”; 100 % of it.") : List.of("order_id null", "amount null"),
                            Check.rows(metadata.getColumns(null, "shop", "orders", null), "COLUMN_NAME", "REMARKS").stream()
                                    .filter(row -> row.matches("(order_id|amount) .*"))
                                    .toList(),
                            "remarks");
                    Check.equal(null, remarksOfOrders(metadata), "remarks of a table, which the driver does not ask for");
                });
    }

    private static String remarksOfOrders(DatabaseMetaData metadata) throws SQLException {
        try (ResultSet result = metadata.getTables(null, "shop", "orders", null)) {
            result.next();
            return result.getString("REMARKS");
        }
    }

    @Case
    static void patternsOfColumns() throws Exception {
        as(
                "ben",
                metadata -> {
                    Check.equal(List.of("orders order_id", "orders ordered_at"), columns(metadata, "orders", "order%"), "order%");
                    Check.equal(List.of("orders due"), columns(metadata, "orders", "du_"), "du_");
                    Check.equal(List.of(), columns(metadata, "orders", "nothing"), "nothing");
                    Check.equal(
                            List.of("order1lines order_id", "order_lines order_id", "orders order_id"),
                            columns(metadata, "%", "order_id"),
                            "of several tables");
                    Check.equal(List.of("order_lines sku"), columns(metadata, "order\\_lines", "sku"), "an escape in the table");
                });
    }

    /** The driver, which looks for columns itself, knows no escape there. */
    @Case
    static void anEscapeInTheNameOfAColumnFindsNothing() throws Exception {
        as("ben", metadata -> Check.equal(List.of(), columns(metadata, "orders", "order\\_id"), "order\\_id"));
    }

    @Case
    static void hiddenColumnsAreNotThere() throws Exception {
        as("ben", metadata -> Check.equal(List.of(), columns(metadata, "orders", "margin"), "of ben"));
        as("ben", metadata -> Check.equal(List.of(), columns(metadata, "payroll", null), "of ben"));
        as("ana", metadata -> Check.equal(List.of("orders margin"), columns(metadata, "orders", "margin"), "of ana"));
    }

    /** `getColumns` and a query say the same of types. */
    @Case
    static void columnsAreThoseOfAQuery() throws Exception {
        try (Connection connection = Servers.shop("ben");
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery("SELECT * FROM shop.orders");
                ResultSet told = connection.getMetaData().getColumns(null, "shop", "orders", null)) {
            for (int column = 1; column <= result.getMetaData().getColumnCount(); column++) {
                Check.that(told.next(), "as many columns");
                Check.equal(told.getString("COLUMN_NAME"), result.getMetaData().getColumnName(column), "the name");
                Check.equal(told.getInt("DATA_TYPE"), result.getMetaData().getColumnType(column), "the type");
            }
            Check.that(!told.next(), "no more columns");
        }
    }

    @Case
    static void primaryKeys() throws Exception {
        as(
                "ben",
                metadata -> {
                    Check.equal(
                            List.of("acme shop orders order_id 1"),
                            Check.rows(metadata.getPrimaryKeys(null, "shop", "orders"), "TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "COLUMN_NAME", "KEY_SEQ"),
                            "of one column");
                    // As the contract numbers them.
                    Check.equal(List.of("order_id 1", "line_no 2"), keys(metadata, "order_lines"), "of two columns");
                    Check.equal(List.of(), keys(metadata, "order1lines"), "none");
                    Check.equal(List.of(), keys(metadata, "payroll"), "of a hidden table");
                    // Two rows may agree in what is left of it.
                    Check.equal(List.of(), keys(metadata, "key_parts"), "a key of which a part is hidden");
                });
        as("ana", metadata -> Check.equal(List.of("open_part 1", "secret_part 2"), keys(metadata, "key_parts"), "of ana"));
    }

    private static List<String> keys(DatabaseMetaData metadata, String table) throws SQLException {
        return Check.rows(metadata.getPrimaryKeys("acme", "shop", table), "COLUMN_NAME", "KEY_SEQ");
    }

    /** Contracts declare none. */
    @Case
    static void foreignKeys() throws Exception {
        as(
                "ben",
                metadata -> {
                    for (String table : List.of("orders", "payroll", "nothing")) {
                        Check.equal(List.of(), Check.rows(metadata.getImportedKeys(null, "shop", table)), "imported keys of " + table);
                        Check.equal(List.of(), Check.rows(metadata.getExportedKeys(null, "shop", table)), "exported keys of " + table);
                    }
                    Check.equal(List.of(), Check.rows(metadata.getCrossReference(null, "shop", "orders", null, "shop", "order_lines")), "cross references");
                });
    }

    /** The driver asks nobody: it knows no types of its own, and JDBC has it answer all the same. */
    @Case
    static void typeInfoIsEmpty() throws Exception {
        as("ben", metadata -> Check.equal(List.of(), Check.rows(metadata.getTypeInfo()), "types"));
    }

    @Case
    static void whatTheServerIs() throws Exception {
        as(
                "ben",
                metadata -> {
                    Check.equal("weft", metadata.getDatabaseProductName().toLowerCase(), "the product");
                    Check.that(metadata.getDatabaseProductVersion().matches("\\d+\\.\\d+\\.\\d+.*"), metadata.getDatabaseProductVersion());
                    Check.that(metadata.isReadOnly(), "it is read-only");
                    Check.equal("\"", metadata.getIdentifierQuoteString(), "the quote");
                    Check.equal("\\", metadata.getSearchStringEscape(), "the escape of patterns");
                    Check.equal("schema", metadata.getSchemaTerm(), "what a schema is called");
                    Check.equal("catalog", metadata.getCatalogTerm(), "what a catalog is called");
                    Check.equal(".", metadata.getCatalogSeparator(), "the separator");
                    Check.that(metadata.isCatalogAtStart(), "the catalog comes first");
                    Check.that(metadata.supportsOuterJoins(), "outer joins");
                    Check.that(metadata.supportsGroupBy(), "GROUP BY");
                    Check.that(metadata.supportsUnionAll(), "UNION ALL");
                    Check.that(metadata.supportsSchemasInDataManipulation(), "schemas in queries");
                    Check.that(metadata.supportsCatalogsInDataManipulation(), "catalogs in queries");
                    Check.that(!metadata.supportsTransactions(), "no transactions");
                    Check.that(!metadata.supportsStoredProcedures(), "no procedures");
                    Check.that(metadata.getNumericFunctions().contains("abs"), metadata.getNumericFunctions());
                    Check.that(metadata.getStringFunctions().contains("upper"), metadata.getStringFunctions());
                    Check.that(!metadata.getSQLKeywords().isEmpty(), "keywords");
                });
    }

    /** The driver does not ask how names are stored: it says of all servers what is so of none of ours. */
    @Case
    static void namesInAnyCase() throws Exception {
        as(
                "ben",
                metadata -> {
                    Check.that(metadata.storesUpperCaseIdentifiers(), "the driver says that names are in upper case");
                    Check.that(metadata.supportsMixedCaseQuotedIdentifiers(), "quoted names keep their case");
                });
        try (Connection connection = Servers.shop("ben");
                Statement statement = connection.createStatement()) {
            Check.equal(List.of("2"), Check.rows(statement.executeQuery("SELECT count(*) FROM SHOP.Orders")), "an unquoted name in any case");
            Check.equal(List.of("2"), Check.rows(statement.executeQuery("SELECT count(*) FROM \"shop\".\"orders\"")), "a quoted name");
            Check.failsInSql("NOT_FOUND", () -> statement.executeQuery("SELECT count(*) FROM \"SHOP\".\"ORDERS\""));
        }
    }
}
