package weft;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;

/** Encrypted connections to a server whose certificate a CA of our own has signed. */
final class Tls {
    private Tls() {}

    private static void works(String more, String... properties) throws SQLException {
        try (Connection connection = Servers.open("tls", more, properties);
                Statement statement = connection.createStatement()) {
            Check.equal(List.of("ben 2"), Check.rows(statement.executeQuery("SELECT current_user, count(*) FROM shop.orders")), "rows");
        }
    }

    private static String[] ben(String... more) {
        String[] all = new String[4 + more.length];
        System.arraycopy(new String[] {"user", "ben", "password", "ben-demo"}, 0, all, 0, 4);
        System.arraycopy(more, 0, all, 4, more.length);
        return all;
    }

    @Case
    static void withRootCertificates() throws Exception {
        works("useEncryption=true", ben("tlsRootCerts", Servers.optional("tls.ca")));
    }

    @Case
    static void withATrustStore() throws Exception {
        works(
                "useEncryption=true&useSystemTrustStore=false",
                ben("trustStore", Servers.optional("tls.store"), "trustStorePassword", "changeit"));
    }

    @Case
    static void withoutVerification() throws Exception {
        works("useEncryption=true&disableCertificateVerification=true", ben());
    }

    @Case
    static void aServerThatNobodyVouchesForIsRefused() throws Exception {
        Check.fails("certif", () -> works("useEncryption=true", ben()));
    }

    @Case
    static void plaintextIsRefused() throws Exception {
        // The driver's own words: what came is not the plain HTTP/2 that it speaks.
        Check.fails("http2", () -> works("useEncryption=false", ben()));
    }
}
