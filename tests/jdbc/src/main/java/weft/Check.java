package weft;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** Assertions, and what makes them short. */
final class Check {
    private Check() {}

    interface Action {
        void run() throws Exception;
    }

    static void equal(Object expected, Object actual, String what) {
        if (!Objects.equals(expected, actual)) {
            throw new AssertionError(what + ": expected " + shown(expected) + ", got " + shown(actual));
        }
    }

    static void that(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    /** Returns the error, whose message has `part` in it; for when the kind of error is no matter. */
    static Exception fails(String part, Action action) throws Exception {
        try {
            action.run();
        } catch (Exception error) {
            String text = messages(error);
            if (!text.toLowerCase().contains(part.toLowerCase())) {
                throw new AssertionError("an error with '" + part + "' was expected, got: " + text, error);
            }
            return error;
        }
        throw new AssertionError("an error with '" + part + "' was expected");
    }

    /** As {@link #fails}, of an error that JDBC allows for. */
    static SQLException failsInSql(String part, Action action) throws Exception {
        Exception error = fails(part, action);
        if (error instanceof SQLException sql) {
            return sql;
        }
        throw new AssertionError("a SQLException was expected, got " + error, error);
    }

    /** Of an error and all its causes. */
    static String messages(Throwable error) {
        StringBuilder text = new StringBuilder();
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            text.append(cause).append(" | ");
        }
        return text.toString();
    }

    /** All rows, the columns of `names` or all, as text. */
    static List<String> rows(ResultSet result, String... names) throws SQLException {
        try (result) {
            List<String> rows = new ArrayList<>();
            while (result.next()) {
                List<String> cells = new ArrayList<>();
                if (names.length == 0) {
                    for (int column = 1; column <= result.getMetaData().getColumnCount(); column++) {
                        cells.add(result.getString(column));
                    }
                }
                for (String name : names) {
                    cells.add(result.getString(name));
                }
                rows.add(String.join(" ", cells.stream().map(String::valueOf).toList()));
            }
            return rows;
        }
    }

    private static String shown(Object value) {
        String type = value == null ? "" : " (" + value.getClass().getSimpleName() + ")";
        String text = String.valueOf(value);
        return (text.length() > 2000 ? text.substring(0, 2000) + "…" : text) + type;
    }
}
