package weft;

import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Array;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Calendar;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TimeZone;
import java.util.stream.Collectors;

/** The tables of all_types.py, cell by cell, as JDBC gives them. The JVM is in New York, so that what is shifted by a zone shows. */
final class Types {
    private Types() {}

    private static final Calendar UTC = Calendar.getInstance(TimeZone.getTimeZone("UTC"));

    private interface Reader {
        /** The cell as JSON, in the way of all_types.py's expected.json. */
        String read(ResultSet row, String column) throws SQLException;
    }

    /** {column: {label: JSON}} of a table, as it is to be. */
    private static Map<String, Map<String, String>> expected(String table) throws Exception {
        Map<String, Map<String, String>> columns = new HashMap<>();
        for (String line : Files.readAllLines(Path.of(Servers.setting("expected")))) {
            String[] parts = line.split("\t");
            if (parts[0].equals(table)) {
                columns.computeIfAbsent(parts[1], name -> new HashMap<>()).put(parts[2], parts[3]);
            }
        }
        return columns;
    }

    /**
     * `reader` against all rows of these columns. `driver`: {"column label": JSON} where the driver
     * gives something else than it gets.
     */
    private static void areAsExpected(List<String> columns, Reader reader, Map<String, String> driver) throws Exception {
        String table = columns.get(0).startsWith("n_map") ? "maps" : "everything";
        Map<String, Map<String, String>> expected = expected(table);
        List<String> faults = new ArrayList<>();
        try (Connection connection = Servers.types();
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("SELECT label, " + String.join(", ", columns) + " FROM kinds." + table + " ORDER BY id")) {
            int rows = 0;
            for (; row.next(); rows++) {
                String label = row.getString("label");
                for (String column : columns) {
                    String right = expected.get(column).get(label);
                    right = driver.getOrDefault(column + " " + label, right);
                    String got = reader.read(row, column);
                    if (!got.equals(right)) {
                        faults.add(column + " of " + label + ": expected " + right + ", got " + got);
                    }
                    Check.equal(right.equals("null"), row.wasNull(), "whether " + column + " of " + label + " was NULL");
                }
            }
            Check.equal(expected.get("label").size(), rows, "rows");
        }
        Check.that(faults.isEmpty(), String.join("\n", faults));
    }

    private static void areAsExpected(List<String> columns, Reader reader) throws Exception {
        areAsExpected(columns, reader, Map.of());
    }

    private static String json(Object value) {
        if (value == null) {
            return "null";
        }
        StringBuilder text = new StringBuilder("\"");
        for (char letter : value.toString().toCharArray()) {
            switch (letter) {
                case '"' -> text.append("\\\"");
                case '\\' -> text.append("\\\\");
                case '\n' -> text.append("\\n");
                case '\r' -> text.append("\\r");
                case '\t' -> text.append("\\t");
                case '\b' -> text.append("\\b");
                case '\f' -> text.append("\\f");
                default -> text.append(letter < ' ' ? String.format("\\u%04x", (int) letter) : letter);
            }
        }
        return text.append('"').toString();
    }

    private static String jsonText(ResultSet row, String column) throws SQLException {
        return json(row.getString(column));
    }

    @Case
    static void wholeNumbers() throws Exception {
        List<String> columns = List.of("id", "c_tinyint", "c_smallint", "c_integer", "c_bigint", "l_integer");
        areAsExpected(columns, Types::jsonText);
        areAsExpected(columns, (row, column) -> json(row.getObject(column)));
        areAsExpected(
                columns,
                (row, column) -> {
                    long value = row.getLong(column);
                    return json(row.wasNull() ? null : value);
                });
    }

    /** Of what has no sign the driver takes the first bit for one, except in these ways of asking. */
    @Case
    static void wholeNumbersWithoutSign() throws Exception {
        areAsExpected(List.of("c_usmallint", "c_ubigint"), Types::jsonText);
        String all = json("18446744073709551615");
        areAsExpected(List.of("c_utinyint", "c_uinteger"), Types::jsonText, Map.of("c_utinyint maximum", all, "c_uinteger maximum", all));
        areAsExpected(
                List.of("c_utinyint", "c_uinteger", "c_ubigint"),
                (row, column) -> json(row.getObject(column)),
                Map.of("c_utinyint maximum", json(-1), "c_uinteger maximum", json(-1), "c_ubigint maximum", json(-1)));
    }

    @Case
    static void floatingPoint() throws Exception {
        areAsExpected(
                List.of("c_real", "c_double", "l_number"),
                (row, column) -> {
                    double value = row.getDouble(column);
                    return row.wasNull() ? "null" : json(ofPython(value));
                });
    }

    /** As Python's repr() writes it. */
    private static String ofPython(double value) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            return Double.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
        }
        String text = Double.toString(value);
        if (!text.contains("E")) {
            return text;
        }
        // The least number has one digit that counts: Java 17 writes two.
        text = text.equals("4.9E-324") ? "5E-324" : text.replace(".0E", "E");
        return text.replace("E-", "e-").replaceAll("E(\\d)", "e+$1");
    }

    @Case
    static void decimals() throws Exception {
        List<String> columns =
                List.of("c_decimal_1_0", "c_decimal_12_2", "c_decimal_38_0", "c_decimal_38_38", "c_decimal_39_3", "c_decimal_76_0", "c_decimal_76_38");
        areAsExpected(
                columns,
                (row, column) -> {
                    BigDecimal value = row.getBigDecimal(column);
                    return json(value == null ? null : value.toPlainString());
                });
        areAsExpected(
                columns,
                (row, column) -> {
                    BigDecimal value = (BigDecimal) row.getObject(column);
                    return json(value == null ? null : value.toPlainString());
                });
    }

    @Case
    static void booleans() throws Exception {
        areAsExpected(List.of("c_boolean", "l_boolean"), Types::jsonText);
        areAsExpected(List.of("c_boolean", "l_boolean"), (row, column) -> json(row.getObject(column)));
    }

    @Case
    static void text() throws Exception {
        List<String> columns = List.of("c_varchar", "c_char", "c_uuid", "c_json", "l_string");
        areAsExpected(columns, Types::jsonText);
        areAsExpected(columns, (row, column) -> json(row.getObject(column)));
    }

    @Case
    static void binary() throws Exception {
        areAsExpected(
                List.of("c_varbinary"),
                (row, column) -> {
                    byte[] value = row.getBytes(column);
                    return json(value == null ? null : HexFormat.of().formatHex(value));
                });
    }

    @Case
    static void dates() throws Exception {
        areAsExpected(List.of("c_date", "l_date"), (row, column) -> json(row.getDate(column)));
        areAsExpected(List.of("c_date", "l_date"), Types::jsonText);
    }

    /** Of NULL the driver fails to make one. */
    @Case(since = 16)
    static void datesOfJavaTime() throws Exception {
        areAsExpected(List.of("c_date", "l_date"), (row, column) -> json(row.getDate(column) == null ? null : row.getObject(column, LocalDate.class)));
    }

    private static final List<String> TIMES = List.of("c_time_s", "c_time_ms", "c_time_us", "c_time_ns", "l_time");

    /** The driver's times count the milliseconds since midnight, wherever the JVM is: in New York they read otherwise. */
    @Case
    static void times() throws Exception {
        Map<String, String> milliseconds = new HashMap<>();
        Map<String, Map<String, String>> expected = expected("everything");
        for (String column : TIMES) {
            expected.get(column).forEach((label, text) -> milliseconds.put(column + " " + label, inMilliseconds(text)));
        }
        areAsExpected(
                TIMES,
                (row, column) -> {
                    java.sql.Time value = row.getTime(column);
                    return json(value == null ? null : LocalTime.ofNanoOfDay(value.getTime() * 1_000_000));
                },
                milliseconds);
    }

    private static String inMilliseconds(String text) {
        return text.equals("null") ? text : json(LocalTime.parse(text.replace("\"", "")).truncatedTo(ChronoUnit.MILLIS));
    }

    private static final List<String> LOCAL = List.of("c_timestamp_s", "c_timestamp_ms", "c_timestamp_us", "c_timestamp_ns");
    private static final List<String> INSTANTS = List.of("c_timestamp_s_tz", "c_timestamp_ms_tz", "c_timestamp_us_tz", "c_timestamp_ns_tz", "l_timestamp");

    /** As expected.json writes them: with all digits of the unit. */
    private static String timestamp(LocalDateTime value, String column) {
        if (value == null) {
            return "null";
        }
        int digits = column.contains("_s") ? 0 : column.contains("_ms") ? 3 : column.contains("_ns") ? 9 : 6;
        String text = String.format("%04d-%s", value.getYear(), value.format(java.time.format.DateTimeFormatter.ofPattern("MM-dd'T'HH:mm:ss.SSSSSSSSS")));
        text = text.substring(0, digits == 0 ? 19 : 20 + digits);
        return json(text + (INSTANTS.contains(column) ? "Z" : ""));
    }

    private static List<String> timestamps() {
        List<String> columns = new ArrayList<>(LOCAL);
        columns.addAll(INSTANTS);
        return columns;
    }

    @Case
    static void timestampsAsText() throws Exception {
        areAsExpected(
                timestamps(),
                (row, column) -> {
                    String text = row.getString(column);
                    return timestamp(text == null ? null : LocalDateTime.parse(text.replace(' ', 'T')), column);
                });
    }

    /** Without a calendar the driver shifts them by the JVM's zone; with that of UTC they read as they are. */
    @Case
    static void timestampsWithACalendar() throws Exception {
        areAsExpected(
                timestamps(),
                (row, column) -> {
                    java.sql.Timestamp value = row.getTimestamp(column, UTC);
                    return timestamp(value == null ? null : value.toLocalDateTime(), column);
                });
    }

    @Case(since = 16)
    static void timestampsOfJavaTime() throws Exception {
        areAsExpected(timestamps(), (row, column) -> timestamp(row.getObject(column, LocalDateTime.class), column));
        areAsExpected(
                INSTANTS,
                (row, column) -> {
                    Instant value = row.getObject(column, Instant.class);
                    return timestamp(value == null ? null : LocalDateTime.ofInstant(value, ZoneOffset.UTC), column);
                });
    }

    /** Of an instant, up to version 15; later ones say of it that this is not implemented. */
    @Case
    static void anInstantAsAnObject() throws Exception {
        try (Connection connection = Servers.types();
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("SELECT l_timestamp FROM kinds.everything WHERE id = 1")) {
            row.next();
            if (connection.getMetaData().getDriverMajorVersion() < 16) {
                Check.that(row.getObject(1) instanceof java.sql.Timestamp, "a Timestamp");
            } else if (connection.getMetaData().getDriverMajorVersion() < 19) {
                Check.fails("not implemented", () -> row.getObject(1));
            } else {
                Check.that(row.getObject(1) != null, "an object");
            }
        }
    }

    private static final List<String> NESTED =
            List.of("n_bigints", "n_strings", "n_doubles", "n_decimals", "n_timestamps", "n_lists", "n_struct", "n_structs", "n_deep");

    @Case
    static void nested() throws Exception {
        // Of a struct the driver leaves out what is NULL.
        Map<String, String> withoutNulls = new HashMap<>();
        Map<String, Map<String, String>> expected = expected("everything");
        for (String column : NESTED) {
            expected.get(column).forEach((label, text) -> withoutNulls.put(column + " " + label, withoutNulls(text)));
        }
        areAsExpected(NESTED, Types::nestedJson, withoutNulls);
    }

    private static String withoutNulls(String text) {
        return text.replaceAll("\"\\w+\":null,?", "").replace(",}", "}");
    }

    @Case
    static void maps() throws Exception {
        areAsExpected(List.of("n_map", "n_map_deep"), Types::nestedJson);
    }

    private static String nestedJson(ResultSet row, String column) throws SQLException {
        Object value = row.getObject(column);
        return parts(value instanceof Array array ? Arrays.asList((Object[]) array.getArray()) : value, column);
    }

    /** Whatever is inside the driver gives as Arrow's own classes: texts, counts since 1970, lists and maps. */
    private static String parts(Object value, String column) {
        if (value instanceof List<?> list) {
            return list.stream().map(item -> parts(item, column)).collect(Collectors.joining(",", "[", "]"));
        }
        if (value instanceof Map<?, ?> map) {
            boolean isMap = column.startsWith("n_map") && map.keySet().stream().noneMatch(key -> key.equals("x") || key.equals("y"));
            return map.entrySet().stream()
                    .map(entry -> isMap ? "[" + parts(entry.getKey(), column) + "," + parts(entry.getValue(), column) + "]" : json(entry.getKey()) + ":" + parts(entry.getValue(), column))
                    .collect(Collectors.joining(",", isMap ? "[" : "{", isMap ? "]" : "}"));
        }
        if (value instanceof Double number) {
            return json(ofPython(number));
        }
        if (value instanceof Integer days) {
            return json(LocalDate.ofEpochDay(days));
        }
        if (value instanceof Long count && column.equals("n_timestamps")) {
            Instant instant = Instant.EPOCH.plus(count, ChronoUnit.MICROS);
            return timestamp(LocalDateTime.ofInstant(instant, ZoneOffset.UTC), "l_timestamp");
        }
        return json(value);
    }

    @Case
    static void typesOfColumns() throws Exception {
        boolean isOld;
        Map<String, Integer> got = new HashMap<>();
        try (Connection connection = Servers.types();
                ResultSet columns = connection.getMetaData().getColumns(null, "kinds", "%", null)) {
            isOld = connection.getMetaData().getDriverMajorVersion() < 16;
            while (columns.next()) {
                got.put(columns.getString("COLUMN_NAME"), columns.getInt("DATA_TYPE"));
            }
        }
        Map<String, Integer> expected = new HashMap<>();
        all(expected, java.sql.Types.TINYINT, "c_tinyint", "c_utinyint");
        all(expected, java.sql.Types.SMALLINT, "c_smallint", "c_usmallint");
        all(expected, java.sql.Types.INTEGER, "c_integer", "c_uinteger");
        all(expected, java.sql.Types.BIGINT, "id", "length", "c_bigint", "c_ubigint", "l_integer");
        // What JDBC calls FLOAT is of double precision; the driver does not mind.
        all(expected, java.sql.Types.FLOAT, "c_real");
        all(expected, java.sql.Types.DOUBLE, "c_double", "l_number");
        all(expected, java.sql.Types.DECIMAL, "c_decimal_1_0", "c_decimal_12_2", "c_decimal_38_0", "c_decimal_38_38");
        all(expected, java.sql.Types.DECIMAL, "c_decimal_39_3", "c_decimal_76_0", "c_decimal_76_38");
        all(expected, java.sql.Types.BOOLEAN, "c_boolean", "l_boolean");
        all(expected, java.sql.Types.VARCHAR, "label", "body", "c_varchar", "c_char", "c_uuid", "c_json", "l_string");
        all(expected, java.sql.Types.VARBINARY, "c_varbinary");
        all(expected, java.sql.Types.DATE, "c_date", "l_date");
        all(expected, java.sql.Types.TIME, TIMES.toArray(String[]::new));
        all(expected, java.sql.Types.TIMESTAMP, LOCAL.toArray(String[]::new));
        all(expected, isOld ? java.sql.Types.TIMESTAMP : java.sql.Types.TIMESTAMP_WITH_TIMEZONE, INSTANTS.toArray(String[]::new));
        all(expected, java.sql.Types.ARRAY, "n_bigints", "n_strings", "n_doubles", "n_decimals", "n_timestamps", "n_lists", "n_structs");
        all(expected, java.sql.Types.JAVA_OBJECT, "n_struct", "n_deep", "n_map", "n_map_deep");
        expected.forEach((column, type) -> Check.equal(type, got.get(column), "the type of " + column));
        Check.equal(expected.keySet(), got.keySet(), "the columns");
    }

    private static void all(Map<String, Integer> types, int type, String... columns) {
        for (String column : columns) {
            types.put(column, type);
        }
    }

    @Case
    static void longText() throws Exception {
        try (Connection connection = Servers.types();
                Statement statement = connection.createStatement()) {
            try (ResultSet row = statement.executeQuery("SELECT length, body FROM kinds.long_text ORDER BY id")) {
                int rows = 0;
                for (; row.next(); rows++) {
                    int length = row.getInt(1);
                    String body = row.getString(2);
                    Check.equal(length, body.length(), "length");
                    Check.that(body.equals("0123456789".repeat(length / 10 + 1).substring(0, length)), "the text of length " + length);
                }
                Check.equal(4, rows, "rows");
            }
            Check.equal(List.of("20000000 0123456789"), Check.rows(statement.executeQuery("SELECT length(body), substr(body, 1, 10) FROM kinds.long_text WHERE length = 20000000")), "part of it");
        }
    }

    /** What an engine may answer with besides: types that no contract has, and some that the driver cannot read. */
    @Case
    static void resultsOfOtherTypes() throws Exception {
        List<List<String>> answers =
                List.of(
                        List.of("SELECT NULL", "null"),
                        List.of("SELECT arrow_cast('a', 'Utf8View')", "a"),
                        List.of("SELECT arrow_cast('a', 'LargeUtf8')", "a"),
                        List.of("SELECT arrow_cast('a', 'Dictionary(Int32, Utf8)')", "a"),
                        List.of("SELECT arrow_cast(1.5, 'Float16')", "1.5"),
                        List.of("SELECT make_array(1, 2)", "[1,2]"),
                        List.of("SELECT now() - now()", "PT0S"));
        try (Connection connection = Servers.types();
                Statement statement = connection.createStatement()) {
            for (List<String> answer : answers) {
                Check.equal(answer.subList(1, 2), Check.rows(statement.executeQuery(answer.get(0))), answer.get(0));
            }
        }
    }

    @Case
    static void manyRows() throws Exception {
        try (Connection connection = Servers.types();
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("SELECT value, CAST(value AS VARCHAR) AS text FROM generate_series(1, 100000) ORDER BY value")) {
            long expected = 1;
            for (; row.next(); expected++) {
                Check.equal(expected, row.getLong(1), "the number");
                Check.equal(String.valueOf(expected), row.getString(2), "the text");
            }
            Check.equal(100_001L, expected, "rows");
        }
    }
}
