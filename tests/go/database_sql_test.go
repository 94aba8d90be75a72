package clients

import (
	"context"
	"database/sql"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/flight/flightsql/driver"
)

// open has a pool for a data source name.
func open(t *testing.T, source string) *sql.DB {
	t.Helper()
	pool, err := sql.Open("flightsql", source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return pool
}

func withPassword(t *testing.T) *sql.DB {
	t.Helper()
	return open(t, "flightsql://"+user+":"+password+"@"+environment(t, "WEFT_ADDRESS")+"?timeout=30s")
}

func expectError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, not an error with %q", err, text)
	}
}

func TestDriverQueries(t *testing.T) {
	pool := withPassword(t)
	rows, err := pool.Query("SELECT id, label FROM kinds.everything ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var labels []string
	for rows.Next() {
		var id int64
		var label string
		if err := rows.Scan(&id, &label); err != nil {
			t.Fatal(err)
		}
		labels = append(labels, label)
	}
	if err := rows.Err(); err != nil || len(labels) != 11 || labels[3] != "maximum" {
		t.Errorf("%v, %v", labels, err)
	}
}

func TestDriverParameters(t *testing.T) {
	statement, err := withPassword(t).Prepare("SELECT label, c_double, c_boolean, c_date FROM kinds.everything WHERE id = ? AND label = ?")
	if err != nil {
		t.Fatal(err)
	}
	defer statement.Close()
	for range 2 {
		var label string
		var double float64
		var boolean bool
		var date time.Time
		if err := statement.QueryRow(int64(1), "ordinary").Scan(&label, &double, &boolean, &date); err != nil {
			t.Fatal(err)
		}
		if label != "ordinary" || double != 1.5 || !boolean || date.Format(time.DateOnly) != "2026-11-25" {
			t.Error(label, double, boolean, date)
		}
	}
	if err := statement.QueryRow(int64(1)).Scan(new(string)); err == nil {
		t.Error("one of two parameters is enough")
	}
}

func TestDriverNull(t *testing.T) {
	var text sql.NullString
	var number sql.NullInt64
	row := withPassword(t).QueryRow("SELECT c_varchar, c_integer FROM kinds.everything WHERE id = 2")
	if err := row.Scan(&text, &number); err != nil || text.Valid || number.Valid {
		t.Error(text, number, err)
	}
}

func TestDriverToken(t *testing.T) {
	pool := open(t, "flightsql://"+environment(t, "WEFT_ADDRESS")+"?token="+url.QueryEscape(environment(t, "WEFT_TOKEN")))
	var name string
	if err := pool.QueryRow("SELECT current_user").Scan(&name); err != nil || name != "bi" {
		t.Error(name, err)
	}
}

func TestDriverTLS(t *testing.T) {
	if err := driver.RegisterTLSConfig("weft", trusted(t)); err != nil {
		t.Fatal(err)
	}
	pool := open(t, "flightsql://"+user+":"+password+"@"+environment(t, "WEFT_TLS_ADDRESS")+"?tls=weft")
	if err := pool.Ping(); err != nil {
		t.Error(err)
	}
	var one int64
	if err := pool.QueryRow("SELECT 1").Scan(&one); err != nil || one != 1 {
		t.Error(one, err)
	}
}

func TestDriverRefusals(t *testing.T) {
	pool := withPassword(t)
	_, err := pool.Exec("DELETE FROM kinds.maps")
	expectError(t, err, "weft is read-only")
	_, err = pool.Query("SELECT * FROM kinds.nothing")
	expectError(t, err, "kinds.nothing")
	_, err = pool.Begin()
	expectError(t, err, "transaction")
	wrong := open(t, "flightsql://"+user+":wrong@"+environment(t, "WEFT_ADDRESS"))
	expectError(t, wrong.QueryRow("SELECT 1").Scan(new(int64)), "Unauthenticated")
}

func TestDriverCancel(t *testing.T) {
	pool := withPassword(t)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := pool.QueryRowContext(ctx, endless).Scan(new(int64)); err == nil {
		t.Error("it ended")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("after %v", took)
	}
}
