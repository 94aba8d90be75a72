// Package clients has arrow-go's Flight SQL client and its database/sql driver against a running
// weft, which tests/python/test_go.py starts: see there for the environment.
package clients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	user     = "ana"
	password = "ana-demo"
	endless  = "SELECT count(*) AS n FROM generate_series(1, 100000) x CROSS JOIN generate_series(1, 100000) y WHERE x.value + y.value < 1"
	manyRows = "SELECT x.value AS x FROM generate_series(1, 100000) x CROSS JOIN generate_series(1, 100000) y"
)

// environment fails the test where pytest has not set it.
func environment(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set: run this by pytest (make test-python)", name)
	}
	return value
}

// dial connects without logging in.
func dial(t *testing.T, address string, transport credentials.TransportCredentials) (context.Context, *flightsql.Client) {
	t.Helper()
	client, err := flightsql.NewClient(address, nil, nil, grpc.WithTransportCredentials(transport))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(func() {
		cancel()
		client.Close()
	})
	return ctx, client
}

// connect logs in with user and password. The context carries the token.
func connect(t *testing.T) (context.Context, *flightsql.Client) {
	t.Helper()
	ctx, client := dial(t, environment(t, "WEFT_ADDRESS"), insecure.NewCredentials())
	ctx, err := client.Client.AuthenticateBasicToken(ctx, user, password)
	if err != nil {
		t.Fatal(err)
	}
	return ctx, client
}

// read has all records of the one endpoint.
func read(t *testing.T, ctx context.Context, client *flightsql.Client, info *flight.FlightInfo, err error) []arrow.RecordBatch {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(info.Endpoint) != 1 {
		t.Fatalf("%d endpoints", len(info.Endpoint))
	}
	reader, err := client.DoGet(ctx, info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	var records []arrow.RecordBatch
	for reader.Next() {
		record := reader.RecordBatch()
		record.Retain()
		records = append(records, record)
	}
	if err := reader.Err(); err != nil {
		t.Fatal(err)
	}
	return records
}

func query(t *testing.T, ctx context.Context, client *flightsql.Client, sql string) []arrow.RecordBatch {
	t.Helper()
	info, err := client.Execute(ctx, sql)
	return read(t, ctx, client, info, err)
}

func count(records []arrow.RecordBatch) (rows int64) {
	for _, record := range records {
		rows += record.NumRows()
	}
	return rows
}

// texts has the cells of a column.
func texts(records []arrow.RecordBatch, column int) []string {
	var found []string
	for _, record := range records {
		for row := 0; row < int(record.NumRows()); row++ {
			found = append(found, record.Column(column).ValueStr(row))
		}
	}
	return found
}

func expectTexts(t *testing.T, records []arrow.RecordBatch, column int, expected ...string) {
	t.Helper()
	if found := texts(records, column); strings.Join(found, "|") != strings.Join(expected, "|") {
		t.Errorf("%q, not %q", found, expected)
	}
}

func expectStatus(t *testing.T, err error, code codes.Code, text string) {
	t.Helper()
	if status.Code(err) != code || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, not %v with %q", err, code, text)
	}
}

func TestPassword(t *testing.T) {
	ctx, client := connect(t)
	expectTexts(t, query(t, ctx, client, "SELECT current_user"), 0, user)
}

func TestWrongPassword(t *testing.T) {
	ctx, client := dial(t, environment(t, "WEFT_ADDRESS"), insecure.NewCredentials())
	_, err := client.Client.AuthenticateBasicToken(ctx, user, "wrong")
	expectStatus(t, err, codes.Unauthenticated, "")
	_, err = client.Execute(ctx, "SELECT 1")
	expectStatus(t, err, codes.Unauthenticated, "no credentials")
}

func TestToken(t *testing.T) {
	ctx, client := dial(t, environment(t, "WEFT_ADDRESS"), insecure.NewCredentials())
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+environment(t, "WEFT_TOKEN"))
	expectTexts(t, query(t, ctx, client, "SELECT current_user"), 0, "bi")
}

func trusted(t *testing.T) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(environment(t, "WEFT_TLS_CA"))
	if err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate", err)
	}
	return &tls.Config{RootCAs: pool}
}

func TestTLS(t *testing.T) {
	ctx, client := dial(t, environment(t, "WEFT_TLS_ADDRESS"), credentials.NewTLS(trusted(t)))
	ctx, err := client.Client.AuthenticateBasicToken(ctx, user, password)
	if err != nil {
		t.Fatal(err)
	}
	expectTexts(t, query(t, ctx, client, "SELECT current_user"), 0, user)
}

func TestUntrustedTLS(t *testing.T) {
	ctx, client := dial(t, environment(t, "WEFT_TLS_ADDRESS"), credentials.NewTLS(&tls.Config{}))
	_, err := client.Client.AuthenticateBasicToken(ctx, user, password)
	expectStatus(t, err, codes.Unavailable, "certificate")
}

func TestErrors(t *testing.T) {
	ctx, client := connect(t)
	for sql, expected := range map[string]codes.Code{
		"SELEC 1":                     codes.InvalidArgument,
		"SELECT * FROM kinds.nothing": codes.NotFound,
		"DELETE FROM kinds.maps":      codes.PermissionDenied,
	} {
		_, err := client.Execute(ctx, sql)
		expectStatus(t, err, expected, "")
	}
	_, err := client.ExecuteUpdate(ctx, "DELETE FROM kinds.maps")
	expectStatus(t, err, codes.PermissionDenied, "weft is read-only")
	_, err = client.BeginTransaction(ctx)
	expectStatus(t, err, codes.Unimplemented, "")
}

// A Go client takes messages of 4 MiB if it is not told otherwise.
func TestMuchDataInSmallMessages(t *testing.T) {
	ctx, client := connect(t)
	records := query(t, ctx, client, "SELECT x.value AS x, repeat('x', 1000) AS y FROM generate_series(1, 20000) x")
	if rows := count(records); rows != 20_000 {
		t.Errorf("%d rows", rows)
	}
}
