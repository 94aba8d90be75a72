package weft;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.ResultSet;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Every method of {@link DatabaseMetaData}, whatever it is: tools call any of them. */
final class MetadataWalk {
    private MetadataWalk() {}

    /** What the driver itself does not do, whatever the server is, and what it says then. */
    private static final Map<String, String> NOT_OF_THE_DRIVER = new HashMap<>();

    static {
        for (String name :
                List.of(
                        "deletesAreDetected",
                        "insertsAreDetected",
                        "updatesAreDetected",
                        "othersDeletesAreVisible",
                        "othersInsertsAreVisible",
                        "othersUpdatesAreVisible",
                        "ownDeletesAreVisible",
                        "ownInsertsAreVisible",
                        "ownUpdatesAreVisible",
                        "supportsResultSetHoldability")) {
            // Avatica, of which the driver is made, throws it, before anything is asked.
            NOT_OF_THE_DRIVER.put(name, "todo: implement this method");
        }
    }

    private static List<Method> methods() {
        return Arrays.stream(DatabaseMetaData.class.getMethods())
                .sorted(Comparator.comparing(Method::toString))
                .toList();
    }

    /** `names`: what a String stands for; the last one for all that follow. */
    private static Object[] arguments(Method method, String... names) {
        int text = 0;
        Object[] arguments = new Object[method.getParameterCount()];
        for (int index = 0; index < arguments.length; index++) {
            Class<?> type = method.getParameterTypes()[index];
            if (type == String.class) {
                arguments[index] = names[Math.min(text++, names.length - 1)];
            } else if (type == String[].class) {
                arguments[index] = new String[] {"TABLE"};
            } else if (type == boolean.class) {
                arguments[index] = true;
            } else if (type == int.class) {
                arguments[index] = number(method.getName(), index);
            } else if (type == Class.class) {
                arguments[index] = DatabaseMetaData.class;
            } else {
                // int[] of getUDTs: all types.
                arguments[index] = null;
            }
        }
        return arguments;
    }

    private static int number(String method, int index) {
        return switch (method) {
            case "supportsConvert" -> index == 0 ? Types.INTEGER : Types.VARCHAR;
            case "supportsResultSetConcurrency" -> index == 0 ? ResultSet.TYPE_FORWARD_ONLY : ResultSet.CONCUR_READ_ONLY;
            case "supportsResultSetHoldability" -> ResultSet.HOLD_CURSORS_OVER_COMMIT;
            case "supportsTransactionIsolationLevel" -> Connection.TRANSACTION_NONE;
            case "getBestRowIdentifier" -> DatabaseMetaData.bestRowSession;
            default -> ResultSet.TYPE_FORWARD_ONLY;
        };
    }

    private static final String[][] NAMES = {
        // catalog, schema, table or pattern, column pattern
        {"acme", "shop", "orders", "%"},
        {null, "%", "%", "%"},
        // JDBC wants a table for keys, and the driver insists.
        {null, null, "%", null, null, "%"},
        {"acme", "nothing", "nothing"},
        {null, "shop", "payroll"},
        {null, "vault", "formulas"},
    };

    /** As `names` says; what all of it answers, as text. */
    private static List<String> walk(DatabaseMetaData metadata, String[] names) {
        List<String> answers = new ArrayList<>();
        List<String> faults = new ArrayList<>();
        for (Method method : methods()) {
            String name = method.getName();
            try {
                Object answer = method.invoke(metadata, arguments(method, names));
                if (answer instanceof ResultSet result) {
                    answers.addAll(Check.rows(result));
                } else if (!(answer instanceof DatabaseMetaData)) {
                    answers.add(name + " " + answer);
                }
                if (NOT_OF_THE_DRIVER.containsKey(name)) {
                    faults.add(name + " answers now, though the driver did not do it");
                }
            } catch (InvocationTargetException error) {
                String said = Check.messages(error.getCause());
                if (!NOT_OF_THE_DRIVER.containsKey(name) || !said.contains(NOT_OF_THE_DRIVER.get(name))) {
                    faults.add(name + ": " + said);
                }
            } catch (Exception error) {
                faults.add(name + ": " + Check.messages(error));
            }
        }
        Check.that(faults.isEmpty(), "with " + Arrays.toString(names) + ":\n" + String.join("\n", faults));
        return answers;
    }

    @Case
    static void everyMethodAnswers() throws Exception {
        for (String[] names : NAMES) {
            try (Connection connection = Servers.shop("ben")) {
                walk(connection.getMetaData(), names);
            }
        }
    }

    /** The types of all columns of all tables are read then, whoever made them. */
    @Case
    static void everyMethodAnswersOfEveryType() throws Exception {
        try (Connection connection = Servers.types()) {
            List<String> answers = walk(connection.getMetaData(), new String[] {null, "%", "%", "%"});
            Check.that(answers.stream().anyMatch(answer -> answer.contains("n_map_deep")), "all columns");
        }
    }

    @Case
    static void whatIsHiddenShowsNowhere() throws Exception {
        List<String> hidden = List.of(Servers.setting("hidden").split(" "));
        try (Connection connection = Servers.shop("ben")) {
            for (String[] names : NAMES) {
                List<String> answers = walk(connection.getMetaData(), names);
                for (String word : hidden) {
                    List<String> found = answers.stream().filter(answer -> answer.contains(word)).toList();
                    // The address of the connection is the only text that is ours.
                    Check.equal(List.of(), found, word + " with " + Arrays.toString(names));
                }
            }
        }
        try (Connection connection = Servers.shop("ana")) {
            List<String> answers = walk(connection.getMetaData(), new String[] {null, "%", "%", "%"});
            Check.that(answers.stream().anyMatch(answer -> answer.contains("margin")), "ana sees it");
        }
    }
}
