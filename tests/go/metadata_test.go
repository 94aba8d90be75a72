package clients

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
)

func TestCatalogsAndSchemas(t *testing.T) {
	ctx, client := connect(t)
	info, err := client.GetCatalogs(ctx)
	expectTexts(t, read(t, ctx, client, info, err), 0, "allsorts")
	pattern := "k_nds"
	info, err = client.GetDBSchemas(ctx, &flightsql.GetDBSchemasOpts{DbSchemaFilterPattern: &pattern})
	expectTexts(t, read(t, ctx, client, info, err), 1, "kinds")
}

func TestTables(t *testing.T) {
	ctx, client := connect(t)
	schema := "kinds"
	options := flightsql.GetTablesOpts{DbSchemaFilterPattern: &schema, TableTypes: []string{"TABLE"}, IncludeSchema: true}
	info, err := client.GetTables(ctx, &options)
	records := read(t, ctx, client, info, err)
	expectTexts(t, records, 2, "everything", "long_text", "maps")
	expectTexts(t, records, 3, "TABLE", "TABLE", "TABLE")
	described, err := client.GetTablesSchema(ctx, &options)
	if err != nil {
		t.Fatal(err)
	}
	expected, err := flight.DeserializeSchema(described.Schema, client.Alloc)
	if err != nil || !expected.Equal(records[0].Schema()) {
		t.Errorf("%v, %v: not %v", err, expected, records[0].Schema())
	}
	info, err = client.GetTableTypes(ctx)
	expectTexts(t, read(t, ctx, client, info, err), 0, "TABLE", "VIEW")
}

func TestKeys(t *testing.T) {
	ctx, client := connect(t)
	schema := "kinds"
	table := flightsql.TableRef{DBSchema: &schema, Table: "everything"}
	info, err := client.GetPrimaryKeys(ctx, table)
	expectTexts(t, read(t, ctx, client, info, err), 3, "id")
	info, err = client.GetImportedKeys(ctx, table)
	if rows := count(read(t, ctx, client, info, err)); rows != 0 {
		t.Errorf("%d keys", rows)
	}
	info, err = client.GetExportedKeys(ctx, table)
	if rows := count(read(t, ctx, client, info, err)); rows != 0 {
		t.Errorf("%d keys", rows)
	}
}

func TestSqlInfo(t *testing.T) {
	ctx, client := connect(t)
	info, err := client.GetSqlInfo(ctx, []flightsql.SqlInfo{flightsql.SqlInfoFlightSqlServerName, flightsql.SqlInfoFlightSqlServerReadOnly})
	if rows := count(read(t, ctx, client, info, err)); rows != 2 {
		t.Errorf("%d rows", rows)
	}
	info, err = client.GetSqlInfo(ctx, nil)
	if rows := count(read(t, ctx, client, info, err)); rows < 80 {
		t.Errorf("%d rows", rows)
	}
	info, err = client.GetXdbcTypeInfo(ctx, nil)
	if rows := count(read(t, ctx, client, info, err)); rows < 10 {
		t.Errorf("%d rows", rows)
	}
}
