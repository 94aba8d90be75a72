package clients

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// parameters has one row of them.
func parameters(client *flightsql.Client, schema *arrow.Schema, json string) arrow.RecordBatch {
	record, _, err := array.RecordFromJSON(client.Alloc, schema, strings.NewReader(json))
	if err != nil {
		panic(err)
	}
	return record
}

func TestPreparedStatement(t *testing.T) {
	ctx, client := connect(t)
	prepared, err := client.Prepare(ctx, "SELECT label FROM kinds.everything WHERE id = ? AND c_integer > ?")
	if err != nil {
		t.Fatal(err)
	}
	schema := prepared.ParameterSchema()
	if schema.NumFields() != 2 || schema.Field(0).Type.ID() != arrow.INT64 || schema.Field(1).Type.ID() != arrow.INT32 {
		t.Fatalf("parameters %v", schema)
	}
	if prepared.DatasetSchema().Field(0).Name != "label" {
		t.Errorf("result %v", prepared.DatasetSchema())
	}
	if update, known := prepared.IsUpdate(); !known || update {
		t.Errorf("is an update: %v, known: %v", update, known)
	}
	for id, label := range map[string]string{"1": "ordinary", "4": "maximum"} {
		prepared.SetParameters(parameters(client, schema, `[{"$1": `+id+`, "$2": 0}]`))
		info, err := prepared.Execute(ctx)
		expectTexts(t, read(t, ctx, client, info, err), 0, label)
	}
	if err := prepared.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestPreparedUpdate(t *testing.T) {
	ctx, client := connect(t)
	_, err := client.Prepare(ctx, "DELETE FROM kinds.maps WHERE id = ?")
	expectStatus(t, err, codes.PermissionDenied, "weft is read-only")
}

func TestSchemaWithoutRows(t *testing.T) {
	ctx, client := connect(t)
	result, err := client.GetExecuteSchema(ctx, "SELECT id, label FROM kinds.everything")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := flight.DeserializeSchema(result.Schema, client.Alloc)
	if err != nil || schema.NumFields() != 2 || schema.Field(1).Type.ID() != arrow.STRING {
		t.Errorf("%v, %v", schema, err)
	}
}

func TestCancelByContext(t *testing.T) {
	ctx, client := connect(t)
	info, err := client.Execute(ctx, endless)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	reader, err := client.DoGet(ctx, info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	began := time.Now()
	time.AfterFunc(300*time.Millisecond, cancel)
	for reader.Next() {
	}
	if err := reader.Err(); status.Code(err) != codes.Canceled && !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("after %v", took)
	}
}

func TestCancelFlightInfo(t *testing.T) {
	ctx, client := connect(t)
	info, err := client.Execute(ctx, manyRows)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := client.DoGet(ctx, info.Endpoint[0].Ticket)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	if !reader.Next() {
		t.Fatal("no rows", reader.Err())
	}
	result, err := client.CancelFlightInfo(ctx, &flight.CancelFlightInfoRequest{Info: info})
	if err != nil || result.Status != flight.CancelStatusCancelled {
		t.Fatalf("%v, %v", result, err)
	}
	for reader.Next() {
	}
	if status.Code(reader.Err()) != codes.Canceled {
		t.Errorf("%v", reader.Err())
	}
}

func TestSessionOptions(t *testing.T) {
	ctx, client := connect(t)
	options, err := flight.NewSessionOptionValues(map[string]any{"schema": "kinds", "colour": "red"})
	if err != nil {
		t.Fatal(err)
	}
	set, err := client.SetSessionOptions(ctx, &flight.SetSessionOptionsRequest{SessionOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Errors) != 1 || set.Errors["colour"].Value != flight.SetSessionOptionsResultErrorInvalidName {
		t.Errorf("%v", set.Errors)
	}
	got, err := client.GetSessionOptions(ctx, &flight.GetSessionOptionsRequest{})
	if err != nil || got.SessionOptions["schema"].GetStringValue() != "kinds" {
		t.Errorf("%v, %v", got, err)
	}
	expectTexts(t, query(t, ctx, client, "SELECT max(id) FROM everything"), 0, "11")
	if _, err := client.CloseSession(ctx, &flight.CloseSessionRequest{}); err != nil {
		t.Error(err)
	}
}
