package clients

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// expectation is all_types.py's expected.json; see there for the cells.
type expectation map[string]struct {
	Columns []struct{ Name string }
	Rows    [][]any
}

func TestAllTypes(t *testing.T) {
	bytes, err := os.ReadFile(filepath.Join(environment(t, "WEFT_TYPES"), "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	var tables expectation
	if err := json.Unmarshal(bytes, &tables); err != nil {
		t.Fatal(err)
	}
	for name, expected := range tables {
		t.Run(name, func(t *testing.T) {
			ctx, client := connect(t)
			row := 0
			for _, record := range query(t, ctx, client, "SELECT * FROM kinds."+name+" ORDER BY id") {
				for at := 0; at < int(record.NumRows()); at++ {
					for column, described := range expected.Columns {
						found := cell(record.Column(column), at)
						if wanted := expected.Rows[row][column]; !same(found, wanted) {
							t.Errorf("row %d, %s: %v, not %v", row+1, described.Name, found, wanted)
						}
					}
					row++
				}
			}
			if row != len(expected.Rows) {
				t.Errorf("%d rows, not %d", row, len(expected.Rows))
			}
		})
	}
}

// same compares floats as numbers, since languages write them in different ways, and zeros by sign.
func same(found, wanted any) bool {
	switch found := found.(type) {
	case float64:
		text, is := wanted.(string)
		number, err := strconv.ParseFloat(text, 64)
		both := math.IsNaN(found) && math.IsNaN(number)
		return is && err == nil && (both || found == number && math.Signbit(found) == math.Signbit(number))
	case []any:
		items, is := wanted.([]any)
		if !is || len(items) != len(found) {
			return false
		}
		for at := range found {
			if !same(found[at], items[at]) {
				return false
			}
		}
		return true
	case map[string]any:
		fields, is := wanted.(map[string]any)
		if !is || len(fields) != len(found) {
			return false
		}
		for name := range found {
			if !same(found[name], fields[name]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(found, wanted)
	}
}

func instant(at time.Time, unit arrow.TimeUnit) string {
	fraction := map[arrow.TimeUnit]string{arrow.Second: "", arrow.Millisecond: ".000", arrow.Microsecond: ".000000", arrow.Nanosecond: ".000000000"}
	return at.UTC().Format("2006-01-02T15:04:05" + fraction[unit])
}

// cell is one of expected.json's, but for floats.
func cell(column arrow.Array, row int) any {
	if column.IsNull(row) {
		return nil
	}
	switch column := column.(type) {
	case *array.Float32:
		return float64(column.Value(row))
	case *array.Float64:
		return column.Value(row)
	case *array.String:
		return column.Value(row)
	case *array.Binary:
		return hex.EncodeToString(column.Value(row))
	case *array.Decimal128:
		return column.Value(row).ToString(column.DataType().(*arrow.Decimal128Type).Scale)
	case *array.Decimal256:
		return column.Value(row).ToString(column.DataType().(*arrow.Decimal256Type).Scale)
	case *array.Date32:
		return column.Value(row).ToTime().Format("2006-01-02")
	case *array.Time32:
		unit := column.DataType().(*arrow.Time32Type).Unit
		return instant(column.Value(row).ToTime(unit), unit)[len("2006-01-02T"):]
	case *array.Time64:
		unit := column.DataType().(*arrow.Time64Type).Unit
		return instant(column.Value(row).ToTime(unit), unit)[len("2006-01-02T"):]
	case *array.Timestamp:
		kind := column.DataType().(*arrow.TimestampType)
		text := instant(column.Value(row).ToTime(kind.Unit), kind.Unit)
		if kind.TimeZone != "" {
			text += "Z"
		}
		return text
	case *array.Map:
		start, end := column.ValueOffsets(row)
		entries := []any{}
		for at := int(start); at < int(end); at++ {
			entries = append(entries, []any{cell(column.Keys(), at), cell(column.Items(), at)})
		}
		return entries
	case *array.List:
		start, end := column.ValueOffsets(row)
		items := []any{}
		for at := int(start); at < int(end); at++ {
			items = append(items, cell(column.ListValues(), at))
		}
		return items
	case *array.Struct:
		fields := map[string]any{}
		for at, field := range column.DataType().(*arrow.StructType).Fields() {
			fields[field.Name] = cell(column.Field(at), row)
		}
		return fields
	default:
		// Whole numbers and booleans.
		return column.ValueStr(row)
	}
}
