package weft;

import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Tokens of a real OpenID provider, tests/oidc/server.mjs. */
final class OAuth {
    private OAuth() {}

    private static final String PLAIN = "useEncryption=false";
    private static final HttpClient HTTP = HttpClient.newHttpClient();
    private static final Pattern TOKEN = Pattern.compile("\"access_token\":\"([^\"]+)\"");

    private static String provider(String path) {
        return Servers.optional("oidc.issuer") + path;
    }

    private static String post(String path, String type, String body, String... headers) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(provider(path))).header("Content-Type", type);
        for (int index = 0; index < headers.length; index += 2) {
            request.header(headers[index], headers[index + 1]);
        }
        HttpResponse<String> response =
                HTTP.send(request.POST(HttpRequest.BodyPublishers.ofString(body)).build(), HttpResponse.BodyHandlers.ofString());
        Check.equal(200, response.statusCode(), path + ": " + response.body());
        return response.body();
    }

    private static String tokenIn(String answer) {
        Matcher found = TOKEN.matcher(answer);
        Check.that(found.find(), "a token in " + answer);
        return found.group(1);
    }

    private static String clientCredentials() throws Exception {
        String basic = Base64.getEncoder().encodeToString("dashboards:dashboards-secret".getBytes(StandardCharsets.UTF_8));
        return tokenIn(post("/token", "application/x-www-form-urlencoded", "grant_type=client_credentials", "Authorization", "Basic " + basic));
    }

    /** Any at all: `asked` is what /admin/token takes. */
    private static String anyToken(String asked) throws Exception {
        return tokenIn(post("/admin/token", "application/json", asked));
    }

    /** The grant is to the group that the token names: without `groups` there is no such table. */
    private static void sees(String who, Connection connection) throws SQLException {
        try (connection;
                Statement statement = connection.createStatement()) {
            Check.equal(List.of(who + " 2"), Check.rows(statement.executeQuery("SELECT current_user, count(*) FROM shop.orders")), "who, and rows");
        }
    }

    private static Connection with(String token) throws SQLException {
        return Servers.open("oidc", PLAIN, "token", token);
    }

    private static void isRefused(String token) throws Exception {
        Check.failsInSql("UNAUTHENTICATED", () -> with(token).close());
    }

    @Case
    static void aTokenOfAServiceLogsIn() throws Exception {
        sees("dashboards", with(clientCredentials()));
    }

    @Case
    static void aTokenOfAPersonLogsIn() throws Exception {
        sees("dora", with(anyToken("{\"claims\":{\"sub\":\"dora\",\"groups\":[\"sales-analysts\"]}}")));
    }

    @Case
    static void aWrongTokenIsRefused() throws Exception {
        isRefused(anyToken("{\"key\":\"unknown\"}"));
        isRefused(anyToken("{\"key\":\"unpublished\"}"));
        isRefused(anyToken("{\"key\":\"none\"}"));
        isRefused(anyToken("{\"claims\":{\"aud\":\"another\"}}"));
        isRefused(anyToken("{\"claims\":{\"iss\":\"http://127.0.0.1:1\"}}"));
        isRefused(anyToken("{\"lifetime\":-3600}"));
    }

    /** A service that got no group has no grant. */
    @Case
    static void withoutTheGroupNothingIsThere() throws Exception {
        try (Connection connection = with(anyToken("{\"claims\":{\"sub\":\"dora\"}}"));
                Statement statement = connection.createStatement()) {
            Check.failsInSql("NOT_FOUND", () -> statement.executeQuery("SELECT * FROM shop.orders"));
        }
    }

    @Case
    static void aNewKeyOfTheProviderIsTaken() throws Exception {
        String old = clientCredentials();
        post("/admin/rotate", "application/json", "{\"keep\":true}");
        String next = clientCredentials();
        // The server asks for keys again, but not for every token: it may have asked a moment ago.
        long deadline = System.nanoTime() + 20_000_000_000L;
        while (true) {
            try {
                sees("dashboards", with(next));
                break;
            } catch (SQLException error) {
                Check.that(error.getMessage().contains("UNAUTHENTICATED") && System.nanoTime() < deadline, Check.messages(error));
                Thread.sleep(300);
            }
        }
        sees("dashboards", with(old));
    }

    private static final String[] CLIENT = {"oauth.flow", "client_credentials", "oauth.clientId", "dashboards", "oauth.clientSecret", "dashboards-secret"};

    @Case(since = 19)
    static void theDriverGetsATokenByClientCredentials() throws Exception {
        sees("dashboards", Servers.open("oidc", PLAIN, withTokenUri(CLIENT)));
    }

    @Case(since = 19)
    static void aWrongSecretIsRefusedByTheProvider() throws Exception {
        String[] properties = withTokenUri(CLIENT);
        properties[5] = "wrong";
        Check.failsInSql("invalid_client", () -> Servers.open("oidc", PLAIN, properties).close());
    }

    @Case(since = 19)
    static void theDriverExchangesAToken() throws Exception {
        String first = anyToken("{\"claims\":{\"sub\":\"dora\",\"aud\":\"portal\",\"groups\":[\"sales-analysts\"]}}");
        // It is for somebody else.
        isRefused(first);
        sees(
                "dora",
                Servers.open(
                        "oidc",
                        PLAIN,
                        withTokenUri(
                                "oauth.flow",
                                "token_exchange",
                                "oauth.clientId",
                                "dashboards",
                                "oauth.clientSecret",
                                "dashboards-secret",
                                "oauth.exchange.subjectToken",
                                first,
                                "oauth.exchange.subjectTokenType",
                                "urn:ietf:params:oauth:token-type:access_token",
                                "oauth.exchange.audience",
                                "weft")));
    }

    private static String[] withTokenUri(String... properties) {
        String[] all = Arrays.copyOf(properties, properties.length + 2);
        all[properties.length] = "oauth.tokenUri";
        all[properties.length + 1] = provider("/token");
        return all;
    }

    /** In a URL, where a tool has only that. */
    @Case(since = 19)
    static void allOfItInTheUrl() throws Exception {
        String uri = URLEncoder.encode(provider("/token"), StandardCharsets.UTF_8);
        sees(
                "dashboards",
                Servers.open(
                        "oidc",
                        PLAIN + "&oauth.flow=client_credentials&oauth.clientId=dashboards&oauth.clientSecret=dashboards-secret&oauth.tokenUri=" + uri));
    }
}
