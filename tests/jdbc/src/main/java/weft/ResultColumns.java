package weft;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.List;

/** What a result says of its columns. */
final class ResultColumns {
    private ResultColumns() {}

    private interface Property {
        Object of(ResultSetMetaData columns, int column) throws SQLException;
    }

    private static List<Object> all(ResultSetMetaData columns, Property property) throws SQLException {
        List<Object> values = new ArrayList<>();
        for (int column = 1; column <= columns.getColumnCount(); column++) {
            values.add(property.of(columns, column));
        }
        return values;
    }

    private static final String SQL = "SELECT order_id, amount, amount * 2 AS \"Twice, net\", note, ordered_at, pieces FROM shop.orders";
    private static final List<Object> NAMES = List.of("order_id", "amount", "Twice, net", "note", "ordered_at", "pieces");

    @Case
    static void labelsAndNames() throws Exception {
        try (Connection connection = Servers.shop("ben");
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery(SQL)) {
            ResultSetMetaData columns = result.getMetaData();
            // Not the contract's descriptions, which the driver would take for labels.
            Check.equal(NAMES, all(columns, ResultSetMetaData::getColumnLabel), "labels");
            Check.equal(NAMES, all(columns, ResultSetMetaData::getColumnName), "names");
            Check.equal(3, result.findColumn("Twice, net"), "the place of a column");
            Check.failsInSql("nothing", () -> result.findColumn("nothing"));
        }
    }

    @Case
    static void types() throws Exception {
        try (Connection connection = Servers.shop("ben");
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery(SQL)) {
            // Before version 16 the driver tells no instant from a date and time without zone.
            int instant = connection.getMetaData().getDriverMajorVersion() < 16 ? Types.TIMESTAMP : Types.TIMESTAMP_WITH_TIMEZONE;
            List<Object> expected = List.of(Types.BIGINT, Types.DECIMAL, Types.DECIMAL, Types.VARCHAR, instant, Types.INTEGER);
            Check.equal(expected, all(result.getMetaData(), ResultSetMetaData::getColumnType), "types");
        }
    }

    @Case
    static void precisionAndScale() throws Exception {
        try (Connection connection = Servers.shop("ben");
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery("SELECT amount, amount * 2 AS twice, pieces FROM shop.orders")) {
            ResultSetMetaData columns = result.getMetaData();
            Check.equal(12, columns.getPrecision(1), "the precision of amount");
            Check.equal(2, columns.getScale(1), "the scale of amount");
            Check.equal(2, columns.getScale(2), "the scale of what is computed");
            // The driver does not take it from the type, and weft says it of decimals alone.
            Check.equal(0, columns.getPrecision(3), "the precision of pieces");
        }
    }

    /** Up to version 18 the driver says of every column that it is never NULL; it is told otherwise. */
    @Case(since = 19)
    static void nullability() throws Exception {
        try (Connection connection = Servers.shop("ben");
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery("SELECT order_id, amount FROM shop.orders")) {
            Check.equal(ResultSetMetaData.columnNoNulls, result.getMetaData().isNullable(1), "order_id");
            Check.equal(ResultSetMetaData.columnNullable, result.getMetaData().isNullable(2), "amount");
        }
    }

    /** Of a prepared statement before it is run. */
    @Case
    static void beforeItIsRun() throws Exception {
        try (Connection connection = Servers.shop("ben");
                PreparedStatement statement = connection.prepareStatement(SQL + " WHERE order_id = ?")) {
            Check.equal(NAMES, all(statement.getMetaData(), ResultSetMetaData::getColumnLabel), "labels");
            Check.equal(1, statement.getParameterMetaData().getParameterCount(), "parameters");
            Check.equal(Types.BIGINT, statement.getParameterMetaData().getParameterType(1), "the parameter's type");
        }
    }

    @Case
    static void aResultWithoutRowsHasColumns() throws Exception {
        try (Connection connection = Servers.shop("ben");
                Statement statement = connection.createStatement();
                ResultSet result = statement.executeQuery(SQL + " WHERE order_id < 0")) {
            // The driver adds the columns that it is told of to those that it has, and replaces all of
            // them with the first row: where there is none, each is there twice.
            List<Object> labels = all(result.getMetaData(), ResultSetMetaData::getColumnLabel);
            Check.equal(NAMES, labels.subList(0, NAMES.size()), "labels");
            Check.equal(2, result.findColumn("amount"), "the place of a column");
            Check.that(!result.next(), "no row");
        }
    }
}
