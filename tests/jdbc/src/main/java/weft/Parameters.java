package weft;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.Date;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Time;
import java.sql.Timestamp;
import java.sql.Types;
import java.util.List;

/** Prepared statements, with a parameter of every type that the driver binds. */
final class Parameters {
    private Parameters() {}

    private interface Binding {
        void to(PreparedStatement statement) throws SQLException;
    }

    /** What `sql` answers, with these parameters. */
    private static List<String> answer(String sql, Binding binding) throws SQLException {
        try (Connection connection = Servers.types();
                PreparedStatement statement = connection.prepareStatement(sql)) {
            binding.to(statement);
            return Check.rows(statement.executeQuery());
        }
    }

    /** The labels of the rows that have this value in `column`. */
    private static void finds(List<String> labels, String column, Binding binding) throws SQLException {
        String sql = "SELECT label FROM kinds.everything WHERE " + column + " = ? ORDER BY id";
        Check.equal(labels, answer(sql, binding), column);
    }

    private static void findsTheOrdinaryOne(String column, Binding binding) throws SQLException {
        finds(List.of("ordinary"), column, binding);
    }

    private static void cannotBe(String part, String column, Binding binding) throws Exception {
        Check.failsInSql(part, () -> answer("SELECT label FROM kinds.everything WHERE " + column + " = ?", binding));
    }

    @Case
    static void wholeNumbers() throws Exception {
        findsTheOrdinaryOne("c_tinyint", statement -> statement.setByte(1, (byte) 42));
        findsTheOrdinaryOne("c_smallint", statement -> statement.setShort(1, (short) 42));
        findsTheOrdinaryOne("c_integer", statement -> statement.setInt(1, 42));
        findsTheOrdinaryOne("c_bigint", statement -> statement.setLong(1, 42));
        for (String column : List.of("c_tinyint", "c_smallint", "c_integer", "c_bigint", "c_utinyint", "c_usmallint", "c_uinteger", "c_ubigint")) {
            findsTheOrdinaryOne(column, statement -> statement.setInt(1, 42));
            findsTheOrdinaryOne(column, statement -> statement.setObject(1, 42L));
        }
        finds(List.of("minimum"), "c_bigint", statement -> statement.setLong(1, Long.MIN_VALUE));
        finds(List.of("maximum"), "c_bigint", statement -> statement.setLong(1, Long.MAX_VALUE));
    }

    @Case
    static void floatingPoint() throws Exception {
        findsTheOrdinaryOne("c_real", statement -> statement.setFloat(1, 1.5f));
        findsTheOrdinaryOne("c_double", statement -> statement.setDouble(1, 1.5));
        findsTheOrdinaryOne("c_double", statement -> statement.setFloat(1, 1.5f));
        findsTheOrdinaryOne("c_double", statement -> statement.setObject(1, 1.5));
        finds(List.of("maximum"), "c_double", statement -> statement.setDouble(1, Double.MAX_VALUE));
        finds(List.of("subnormal"), "c_double", statement -> statement.setDouble(1, Double.MIN_VALUE));
        finds(List.of("infinity"), "c_double", statement -> statement.setDouble(1, Double.POSITIVE_INFINITY));
        // As DataFusion and PostgreSQL have it, NaN equals itself.
        finds(List.of("nan"), "c_double", statement -> statement.setDouble(1, Double.NaN));
    }

    /** The driver wants the scale of the column to the digit, and knows no more than 38 digits. */
    @Case
    static void decimals() throws Exception {
        findsTheOrdinaryOne("c_decimal_12_2", statement -> statement.setBigDecimal(1, new BigDecimal("4.20")));
        findsTheOrdinaryOne("c_decimal_12_2", statement -> statement.setObject(1, new BigDecimal("4.20")));
        finds(List.of("maximum"), "c_decimal_12_2", statement -> statement.setBigDecimal(1, new BigDecimal("9999999999.99")));
        finds(List.of("minimum"), "c_decimal_38_0", statement -> statement.setBigDecimal(1, new BigDecimal("-" + "9".repeat(38))));
        cannotBe("scale must equal", "c_decimal_12_2", statement -> statement.setBigDecimal(1, new BigDecimal("4.2")));
        cannotBe("Decimal256", "c_decimal_76_0", statement -> statement.setBigDecimal(1, new BigDecimal("42")));
        cannotBe("not yet supported", "c_decimal_12_2", statement -> statement.setInt(1, 42));
    }

    @Case
    static void textBinaryAndBoolean() throws Exception {
        findsTheOrdinaryOne("c_varchar", statement -> statement.setString(1, "Grüße, 世界 𝄞"));
        findsTheOrdinaryOne("c_varchar", statement -> statement.setObject(1, "Grüße, 世界 𝄞"));
        findsTheOrdinaryOne("c_char", statement -> statement.setNString(1, "abc"));
        finds(List.of("zero"), "c_varchar", statement -> statement.setString(1, ""));
        // Text is text, whatever stands in it.
        finds(List.of(), "c_varchar", statement -> statement.setString(1, "' OR 1 = 1 --"));
        findsTheOrdinaryOne("c_varbinary", statement -> statement.setBytes(1, "weft".getBytes(StandardCharsets.UTF_8)));
        finds(List.of("minimum"), "c_varbinary", statement -> statement.setBytes(1, new byte[1]));
        finds(List.of("zero"), "c_varbinary", statement -> statement.setBytes(1, new byte[0]));
        finds(List.of("ordinary", "maximum"), "c_boolean", statement -> statement.setBoolean(1, true));
        finds(List.of("minimum", "zero"), "c_boolean", statement -> statement.setObject(1, false));
    }

    @Case
    static void dates() throws Exception {
        findsTheOrdinaryOne("c_date", statement -> statement.setDate(1, Date.valueOf("2026-11-25")));
        findsTheOrdinaryOne("c_date", statement -> statement.setObject(1, Date.valueOf("2026-11-25")));
        finds(List.of("zero"), "c_date", statement -> statement.setDate(1, Date.valueOf("1970-01-01")));
        finds(List.of("maximum"), "c_date", statement -> statement.setDate(1, Date.valueOf("9999-12-31")));
    }

    private static Time time(String seconds, int milliseconds) {
        return new Time(Time.valueOf(seconds).getTime() + milliseconds);
    }

    @Case
    static void timesInMilliseconds() throws Exception {
        findsTheOrdinaryOne("c_time_ms", statement -> statement.setTime(1, time("13:37:42", 123)));
        finds(List.of("minimum", "zero"), "c_time_ms", statement -> statement.setTime(1, time("00:00:00", 0)));
        findsTheOrdinaryOne("c_timestamp_ms", statement -> statement.setTimestamp(1, Timestamp.valueOf("2026-11-25 13:37:42.123")));
        finds(List.of("zero"), "c_timestamp_ms", statement -> statement.setTimestamp(1, Timestamp.valueOf("1970-01-01 00:00:00")));
        // The driver takes the hands of the clock for those of UTC, here too.
        findsTheOrdinaryOne("c_timestamp_ms_tz", statement -> statement.setTimestamp(1, Timestamp.valueOf("2026-11-25 13:37:42.123")));
    }

    /** Whether what the first row has in `column` is between two values, of which JDBC's milliseconds are enough. */
    private static void isBetween(String column, Binding bounds) throws SQLException {
        String sql = "SELECT count(*) FROM kinds.everything WHERE id = 1 AND " + column + " BETWEEN ? AND ?";
        Check.equal(List.of("1"), answer(sql, bounds), column);
    }

    /**
     * Up to version 18 the driver writes its milliseconds into whatever unit it is asked for, and the
     * comparison is wrong without a word. It is right where it is asked for milliseconds.
     */
    @Case
    static void timestampsOfEveryUnit() throws Exception {
        for (String column : List.of("c_timestamp_s", "c_timestamp_ms", "c_timestamp_us", "c_timestamp_ns", "c_timestamp_us_tz", "l_timestamp")) {
            isBetween(
                    column,
                    statement -> {
                        statement.setTimestamp(1, Timestamp.valueOf("2026-11-25 13:37:42"));
                        statement.setTimestamp(2, Timestamp.valueOf("2026-11-25 13:37:43"));
                    });
        }
    }

    /** As with timestamps. */
    @Case
    static void timesOfEveryUnit() throws Exception {
        for (String column : List.of("c_time_s", "c_time_ms", "c_time_us", "c_time_ns", "l_time")) {
            isBetween(
                    column,
                    statement -> {
                        statement.setTime(1, time("13:37:42", 0));
                        statement.setTime(2, time("13:37:43", 0));
                    });
        }
    }

    @Case
    static void lists() throws Exception {
        try (Connection connection = Servers.types();
                PreparedStatement statement = connection.prepareStatement("SELECT label FROM kinds.everything WHERE n_bigints = ?")) {
            statement.setArray(1, connection.createArrayOf("BIGINT", new Object[] {1L, 2L, 3L}));
            Check.equal(List.of("ordinary"), Check.rows(statement.executeQuery()), "by a list");
        }
    }

    @Case
    static void nothing() throws Exception {
        for (String column : List.of("c_bigint", "c_varchar", "c_boolean", "c_double", "c_date", "c_timestamp_us", "c_decimal_12_2", "c_varbinary")) {
            finds(List.of(), column, statement -> statement.setNull(1, Types.NULL));
            String sql = "SELECT count(*) FROM kinds.everything WHERE id = 2 AND " + column + " IS NOT DISTINCT FROM ?";
            Check.equal(List.of("1"), answer(sql, statement -> statement.setNull(1, Types.BIGINT)), column);
        }
        finds(List.of(), "c_varchar", statement -> statement.setString(1, null));
        finds(List.of(), "c_bigint", statement -> statement.setObject(1, null));
    }

    @Case
    static void objectsOfAGivenType() throws Exception {
        findsTheOrdinaryOne("c_bigint", statement -> statement.setObject(1, 42, Types.BIGINT));
        findsTheOrdinaryOne("c_bigint", statement -> statement.setObject(1, "42", Types.BIGINT));
    }

    /** The driver binds by what the server says of a parameter: what does not fit it refuses by itself. */
    @Case
    static void aTypeThatDoesNotFitIsRefused() throws Exception {
        cannotBe("not yet supported", "c_bigint", statement -> statement.setString(1, "42"));
        cannotBe("not yet supported", "c_date", statement -> statement.setString(1, "2026-11-25"));
        cannotBe("not yet supported", "c_varchar", statement -> statement.setInt(1, 42));
    }

    /** Where nothing tells the type, it is text. */
    @Case
    static void aParameterThatNothingIsKnownOfIsText() throws Exception {
        Check.equal(List.of("abc"), answer("SELECT ?", statement -> statement.setString(1, "abc")), "text");
        Check.equal(List.of("null"), answer("SELECT ?", statement -> statement.setNull(1, Types.VARCHAR)), "NULL");
        Check.failsInSql("not yet supported", () -> answer("SELECT ?", statement -> statement.setInt(1, 42)));
    }

    /** The usual way to say what a parameter is. */
    @Case
    static void aCastTellsTheTypeOfAParameter() throws Exception {
        Check.equal(List.of("43"), answer("SELECT CAST(? AS BIGINT) + 1", statement -> statement.setLong(1, 42)), "CAST");
        Check.equal(List.of("42"), answer("SELECT ?::INTEGER", statement -> statement.setInt(1, 42)), "::");
        Check.equal(List.of("true"), answer("SELECT CAST(? AS BOOLEAN)", statement -> statement.setBoolean(1, true)), "BOOLEAN");
        Check.equal(List.of("2026-11-25"), answer("SELECT CAST(? AS DATE)", statement -> statement.setDate(1, Date.valueOf("2026-11-25"))), "DATE");
    }

    /** As tools write optional filters. */
    @Case
    static void inPlacesOfAllKinds() throws Exception {
        String from = " FROM kinds.everything WHERE ";
        Check.equal(List.of("3"), answer("SELECT count(*)" + from + "c_bigint IN (?, 0, ?)", values(42L, Long.MAX_VALUE)), "IN");
        Check.equal(List.of("2"), answer("SELECT count(*)" + from + "c_bigint BETWEEN ? AND ?", values(0L, 42L)), "BETWEEN");
        Check.equal(List.of("2"), answer("SELECT id" + from + "id = ? + 1", values(1L)), "arithmetic");
        Check.equal(List.of("1"), answer("SELECT id" + from + "c_char LIKE ?", values("ab%")), "LIKE");
        Check.equal(List.of("1"), answer("SELECT id FROM kinds.everything ORDER BY id LIMIT ?", values(1L)), "LIMIT");
        Check.equal(List.of("1"), answer("SELECT id" + from + "label = ? AND '?' <> label /* ? */ -- ?\n AND id < ?", values("ordinary", 9L)), "not in text");
        Check.equal(List.of("1"), answer("SELECT id" + from + "label = $2 AND id < $1", values(9L, "ordinary")), "numbered");
    }

    private static Binding values(Object... values) {
        return statement -> {
            for (int index = 0; index < values.length; index++) {
                statement.setObject(index + 1, values[index]);
            }
        };
    }

    @Case
    static void executedAgainAndAgain() throws Exception {
        try (Connection connection = Servers.types();
                PreparedStatement statement = connection.prepareStatement("SELECT label FROM kinds.everything WHERE c_bigint = ?")) {
            for (long value : new long[] {42, 0, Long.MIN_VALUE, 42}) {
                statement.setLong(1, value);
                String expected = value == 42 ? "ordinary" : value == 0 ? "zero" : "minimum";
                Check.equal(List.of(expected), Check.rows(statement.executeQuery()), "for " + value);
            }
            // What is bound stays bound.
            Check.equal(List.of("ordinary"), Check.rows(statement.executeQuery()), "the same again");
            statement.setNull(1, Types.BIGINT);
            Check.equal(List.of(), Check.rows(statement.executeQuery()), "NULL");
            statement.setLong(1, 0);
            Check.equal(List.of("zero"), Check.rows(statement.executeQuery()), "after NULL");
        }
    }

    @Case
    static void twoStatementsAtATime() throws Exception {
        String sql = "SELECT label FROM kinds.everything WHERE c_bigint = ?";
        try (Connection connection = Servers.types();
                PreparedStatement one = connection.prepareStatement(sql);
                PreparedStatement two = connection.prepareStatement(sql)) {
            one.setLong(1, 42);
            two.setLong(1, 0);
            Check.equal(List.of("ordinary"), Check.rows(one.executeQuery()), "the first");
            Check.equal(List.of("zero"), Check.rows(two.executeQuery()), "the second");
            Check.equal(List.of("ordinary"), Check.rows(one.executeQuery()), "the first again");
        }
    }

    @Case
    static void aWrongCountIsRefused() throws Exception {
        String sql = "SELECT label FROM kinds.everything WHERE c_bigint = ? AND label = ?";
        Check.failsInSql("out of range", () -> answer(sql, statement -> statement.setLong(3, 42)));
        Check.failsInSql("out of range", () -> answer(sql, statement -> statement.setLong(0, 42)));
        // The driver's own words: nothing is sent.
        Check.failsInSql("\"typedValue\" is null", () -> answer(sql, statement -> statement.setLong(1, 42)));
        Check.failsInSql("\"typedValue\" is null", () -> answer(sql, statement -> {}));
        Check.failsInSql(
                "\"typedValue\" is null",
                () ->
                        answer(
                                sql,
                                statement -> {
                                    statement.setLong(1, 42);
                                    statement.clearParameters();
                                }));
    }

    /** As a query in a `Statement` has nobody to fill them in. */
    @Case
    static void parametersWithoutValuesAreRefused() throws Exception {
        try (Connection connection = Servers.types();
                Statement statement = connection.createStatement()) {
            Check.failsInSql("parameter", () -> statement.executeQuery("SELECT label FROM kinds.everything WHERE c_bigint = ?"));
        }
    }

    @Case
    static void writingIsRefused() throws Exception {
        try (Connection connection = Servers.types()) {
            Check.failsInSql("weft is read-only", () -> connection.prepareStatement("DELETE FROM kinds.everything WHERE c_bigint = ?"));
            Check.failsInSql("weft is read-only", () -> connection.prepareStatement("INSERT INTO kinds.maps VALUES (?)"));
            try (PreparedStatement statement = connection.prepareStatement("SELECT label FROM kinds.everything WHERE c_bigint = ?")) {
                // To JDBC a batch is an update, whatever the statement is.
                statement.setLong(1, 42);
                statement.addBatch();
                statement.setLong(1, 0);
                statement.addBatch();
                Check.failsInSql("weft is read-only", statement::executeBatch);
            }
        }
    }
}
