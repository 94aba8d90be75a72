package weft;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.io.Reader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Runs cases and says of each how it went, in a line of its own: {@code ok NAME}, {@code skip NAME:
 * why} or {@code FAIL NAME: why}. Stacks go to the standard error.
 *
 * <p>Arguments: a file of properties (see {@link Servers}), then the names of cases, or of classes
 * of them; none means all.
 */
final class Main {
    private static final List<Class<?>> SUBJECTS =
            List.of(
                    Connect.class,
                    Tls.class,
                    Metadata.class,
                    MetadataWalk.class,
                    ResultColumns.class,
                    Parameters.class,
                    Types.class,
                    Defaults.class,
                    OAuth.class,
                    // So late that what any of the others leaves open shows.
                    Pool.class,
                    // The driver reads memory that cancelling has freed: if the JVM ends of it, no other
                    // case is missing.
                    Cancel.class);

    private static final int SECONDS_EACH = 60;

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        // Whatever the locale is.
        System.setOut(new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8));
        Properties settings = new Properties();
        try (Reader reader = Files.newBufferedReader(Path.of(arguments[0]))) {
            settings.load(reader);
        }
        Servers.settings(settings);
        List<String> wanted = Arrays.asList(arguments).subList(1, arguments.length);
        int major = DriverManager.getDriver("jdbc:arrow-flight-sql://h:1").getMajorVersion();
        System.out.println("driver " + major);
        ExecutorService runner =
                Executors.newCachedThreadPool(
                        task -> {
                            Thread thread = new Thread(task);
                            // A case that hangs does not keep the others from being told of.
                            thread.setDaemon(true);
                            return thread;
                        });
        for (Class<?> subject : SUBJECTS) {
            Method[] methods = subject.getDeclaredMethods();
            Arrays.sort(methods, Comparator.comparing(Method::getName));
            for (Method method : methods) {
                Case marked = method.getAnnotation(Case.class);
                String name = subject.getSimpleName() + "." + method.getName();
                boolean isWanted =
                        wanted.isEmpty()
                                || wanted.contains(name)
                                || wanted.contains(subject.getSimpleName());
                if (marked == null || !isWanted) {
                    continue;
                }
                if (marked.since() > major) {
                    say("skip " + name, "the driver can do this from version " + marked.since());
                } else {
                    run(runner, name, method);
                }
            }
        }
        // Not by returning: the driver's threads might keep it from ending.
        System.out.flush();
        System.exit(0);
    }

    private static void run(ExecutorService runner, String name, Method method) {
        long began = System.nanoTime();
        try {
            runner.submit(
                            () -> {
                                try {
                                    return method.invoke(null);
                                } catch (InvocationTargetException error) {
                                    if (error.getCause() instanceof Exception cause) {
                                        throw cause;
                                    }
                                    throw error;
                                }
                            })
                    .get(SECONDS_EACH, TimeUnit.SECONDS);
            System.out.println("ok " + name);
        } catch (TimeoutException error) {
            say("FAIL " + name, "it did not end in " + SECONDS_EACH + " seconds");
            Thread.getAllStackTraces().forEach(Main::printStack);
        } catch (ExecutionException error) {
            Throwable cause = error.getCause();
            while (cause instanceof InvocationTargetException && cause.getCause() != null) {
                cause = cause.getCause();
            }
            if (cause instanceof Skipped) {
                say("skip " + name, cause.getMessage());
            } else {
                say("FAIL " + name, cause.toString());
                System.err.println("== " + name);
                cause.printStackTrace();
            }
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        } finally {
            System.err.printf("%s: %d ms%n", name, (System.nanoTime() - began) / 1_000_000);
        }
    }

    private static void printStack(Thread thread, StackTraceElement[] stack) {
        System.err.println(thread);
        Arrays.stream(stack).forEach(frame -> System.err.println("    at " + frame));
    }

    private static void say(String what, String why) {
        System.out.println(what + ": " + String.valueOf(why).replace("\r", "").replace("\n", " ⏎ "));
    }
}
