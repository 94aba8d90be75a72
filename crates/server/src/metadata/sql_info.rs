//! `CommandGetSqlInfo`: what the server is and can do.
//!
//! Drivers read each value from the union child that `FlightSql.proto` names for
//! it; a value of another type is read as nothing. Hence the sections below.

use std::collections::{BTreeMap, HashSet};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::UInt32Type;
use arrow::error::ArrowError;
use arrow_flight::sql::SqlInfo;
use arrow_flight::sql::SqlSupportsConvert as Convert;
use arrow_flight::sql::metadata::SqlInfoDataBuilder;
use weft_engine::FunctionNames;

/// The version of the server, `n.n.n`.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Words that SQL keeps and SQL-92 does not list.
const KEYWORDS: [&str; 16] = [
    "ANTI",
    "DESCRIBE",
    "EXPLAIN",
    "ILIKE",
    "LATERAL",
    "LIMIT",
    "OFFSET",
    "OVER",
    "PARTITION",
    "QUALIFY",
    "RECURSIVE",
    "SEMI",
    "SHOW",
    "TABLESAMPLE",
    "UNNEST",
    "WINDOW",
];

/// Everything that there is to know.
pub(super) fn all(functions: &FunctionNames) -> Result<RecordBatch, ArrowError> {
    let mut info = SqlInfoDataBuilder::new();
    strings(&mut info);
    booleans(&mut info);
    bigints(&mut info);
    bitmasks(&mut info);
    lists(&mut info, functions);
    info.append(SqlInfo::SqlSupportsConvert, conversions());
    let data = info
        .build()
        .map_err(|error| ArrowError::ExternalError(error.into()))?;
    data.record_batch([])
        .map_err(|error| ArrowError::ExternalError(error.into()))
}

/// Newer than drivers in the field, of which some (JDBC 15) fail on a name that they do
/// not know: told to those alone who ask for them.
const WHEN_ASKED: [SqlInfo; 2] = [
    SqlInfo::FlightSqlServerBulkIngestion,
    SqlInfo::FlightSqlServerIngestTransactionsSupported,
];

/// The values that are asked for; for an empty list all that every driver knows.
pub(super) fn select(all: &RecordBatch, asked: &[u32]) -> Result<RecordBatch, ArrowError> {
    let is_new = |name: u32| WHEN_ASKED.iter().any(|new| *new as u32 == name);
    let asked: HashSet<u32> = asked.iter().copied().collect();
    let is_wanted = |name: u32| {
        if asked.is_empty() {
            !is_new(name)
        } else {
            asked.contains(&name)
        }
    };
    let names = all.column(0).as_primitive::<UInt32Type>();
    let wanted: BooleanArray = names
        .values()
        .iter()
        .map(|name| Some(is_wanted(*name)))
        .collect();
    filter_record_batch(all, &wanted)
}

fn strings(info: &mut SqlInfoDataBuilder) {
    for (name, value) in [
        (SqlInfo::FlightSqlServerName, "weft"),
        (SqlInfo::FlightSqlServerVersion, VERSION),
        (SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION),
        (SqlInfo::SqlIdentifierQuoteChar, "\""),
        (SqlInfo::SqlSearchStringEscape, "\\"),
        (SqlInfo::SqlExtraNameCharacters, ""),
        (SqlInfo::SqlSchemaTerm, "schema"),
        (SqlInfo::SqlProcedureTerm, ""),
        (SqlInfo::SqlCatalogTerm, "catalog"),
    ] {
        info.append(name, value);
    }
}

fn booleans(info: &mut SqlInfoDataBuilder) {
    for (name, value) in [
        (SqlInfo::FlightSqlServerReadOnly, true),
        (SqlInfo::FlightSqlServerSql, true),
        (SqlInfo::FlightSqlServerSubstrait, false),
        (SqlInfo::FlightSqlServerCancel, true),
        (SqlInfo::FlightSqlServerBulkIngestion, false),
        (SqlInfo::FlightSqlServerIngestTransactionsSupported, false),
        (SqlInfo::SqlDdlCatalog, false),
        (SqlInfo::SqlDdlSchema, false),
        (SqlInfo::SqlDdlTable, false),
        (SqlInfo::SqlAllTablesAreSelectable, true),
        (SqlInfo::SqlSupportsColumnAliasing, true),
        (SqlInfo::SqlNullPlusNullIsNull, true),
        (SqlInfo::SqlSupportsTableCorrelationNames, true),
        (SqlInfo::SqlSupportsDifferentTableCorrelationNames, false),
        (SqlInfo::SqlSupportsExpressionsInOrderBy, true),
        (SqlInfo::SqlSupportsOrderByUnrelated, true),
        (SqlInfo::SqlSupportsLikeEscapeClause, true),
        (SqlInfo::SqlSupportsNonNullableColumns, true),
        (SqlInfo::SqlSupportsIntegrityEnhancementFacility, false),
        (SqlInfo::SqlCatalogAtStart, true),
        (SqlInfo::SqlSelectForUpdateSupported, false),
        (SqlInfo::SqlStoredProceduresSupported, false),
        (SqlInfo::SqlCorrelatedSubqueriesSupported, true),
        (SqlInfo::SqlMaxRowSizeIncludesBlobs, true),
        (SqlInfo::SqlTransactionsSupported, false),
        (SqlInfo::SqlDataDefinitionCausesTransactionCommit, false),
        (SqlInfo::SqlDataDefinitionsInTransactionsIgnored, false),
        (SqlInfo::SqlBatchUpdatesSupported, false),
        (SqlInfo::SqlSavepointsSupported, false),
        (SqlInfo::SqlNamedParametersSupported, false),
        (SqlInfo::SqlLocatorsUpdateCopy, false),
        (SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported, false),
    ] {
        info.append(name, value);
    }
}

/// Limits; 0 is none or unknown.
fn bigints(info: &mut SqlInfoDataBuilder) {
    let statement_bytes = 1_i64 << 20;
    let row_bytes = 16_i64 << 20;
    for (name, value) in [
        (SqlInfo::SqlMaxBinaryLiteralLength, 0),
        (SqlInfo::SqlMaxCharLiteralLength, 0),
        (SqlInfo::SqlMaxColumnNameLength, 0),
        (SqlInfo::SqlMaxColumnsInGroupBy, 0),
        (SqlInfo::SqlMaxColumnsInIndex, 0),
        (SqlInfo::SqlMaxColumnsInOrderBy, 0),
        (SqlInfo::SqlMaxColumnsInSelect, 0),
        (SqlInfo::SqlMaxColumnsInTable, 0),
        (SqlInfo::SqlMaxConnections, 0),
        (SqlInfo::SqlMaxCursorNameLength, 0),
        (SqlInfo::SqlMaxIndexLength, 0),
        (SqlInfo::SqlDbSchemaNameLength, 0),
        (SqlInfo::SqlMaxProcedureNameLength, 0),
        (SqlInfo::SqlMaxCatalogNameLength, 0),
        (SqlInfo::SqlMaxRowSize, row_bytes),
        (SqlInfo::SqlMaxStatementLength, statement_bytes),
        (SqlInfo::SqlMaxStatements, 0),
        (SqlInfo::SqlMaxTableNameLength, 0),
        (SqlInfo::SqlMaxTablesInSelect, 0),
        (SqlInfo::SqlMaxUsernameLength, 0),
        // SQL_TRANSACTION_NONE
        (SqlInfo::SqlDefaultTransactionIsolation, 0),
    ] {
        info.append(name, value);
    }
}

/// Enumerated values and bit masks of them.
fn bitmasks(info: &mut SqlInfoDataBuilder) {
    for (name, value) in [
        // None, of None, Transaction and Savepoint.
        (SqlInfo::FlightSqlServerTransaction, 0),
        (SqlInfo::FlightSqlServerStatementTimeout, 0),
        (SqlInfo::FlightSqlServerTransactionTimeout, 0),
        // Unquoted names are stored in lower case.
        (SqlInfo::SqlIdentifierCase, 3),
        // Quoted names are stored as they are: this is the value that JDBC and
        // ODBC read as "mixed".
        (SqlInfo::SqlQuotedIdentifierCase, 1),
        // Null sorts as the highest value.
        (SqlInfo::SqlNullOrdering, 0),
        // By unrelated columns, and beyond the select list.
        (SqlInfo::SqlSupportedGroupBy, 0b11),
        // Minimum, core and extended grammar.
        (SqlInfo::SqlSupportedGrammar, 0b111),
        // Entry, intermediate and full.
        (SqlInfo::SqlAnsi92SupportedLevel, 0b111),
        // Limited and full outer joins.
        (SqlInfo::SqlOuterJoinsSupportLevel, 0b110),
        (SqlInfo::SqlSchemasSupportedActions, 0),
        (SqlInfo::SqlCatalogsSupportedActions, 0),
        (SqlInfo::SqlSupportedPositionedCommands, 0),
        // In comparisons, EXISTS and IN.
        (SqlInfo::SqlSupportedSubqueries, 0b111),
        // UNION and UNION ALL.
        (SqlInfo::SqlSupportedUnions, 0b11),
        // No transaction is the only isolation level.
        (SqlInfo::SqlSupportedTransactionsIsolationLevels, 0b1),
        // Forward only.
        (SqlInfo::SqlSupportedResultSetTypes, 0b10),
        (SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified, 0),
        // Read only.
        (
            SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly,
            0b10,
        ),
        (
            SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive,
            0,
        ),
        (
            SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive,
            0,
        ),
    ] {
        info.append(name, value);
    }
}

fn lists(info: &mut SqlInfoDataBuilder, functions: &FunctionNames) {
    info.append(SqlInfo::SqlKeywords, KEYWORDS.as_slice());
    info.append(SqlInfo::SqlNumericFunctions, functions.numeric.clone());
    info.append(SqlInfo::SqlStringFunctions, functions.string.clone());
    info.append(SqlInfo::SqlSystemFunctions, functions.system.clone());
    info.append(SqlInfo::SqlDatetimeFunctions, functions.datetime.clone());
}

/// What `CAST` takes: numbers and text into one another, times among themselves
/// and from and to text.
fn conversions() -> BTreeMap<i32, Vec<i32>> {
    const NUMBERS: [Convert; 9] = [
        Convert::SqlConvertBit,
        Convert::SqlConvertTinyint,
        Convert::SqlConvertSmallint,
        Convert::SqlConvertInteger,
        Convert::SqlConvertBigint,
        Convert::SqlConvertReal,
        Convert::SqlConvertFloat,
        Convert::SqlConvertDecimal,
        Convert::SqlConvertNumeric,
    ];
    const TIMES: [Convert; 3] = [
        Convert::SqlConvertDate,
        Convert::SqlConvertTime,
        Convert::SqlConvertTimestamp,
    ];
    const TEXT: Convert = Convert::SqlConvertVarchar;
    const BYTES: Convert = Convert::SqlConvertVarbinary;

    let text_and = |others: &[Convert]| -> Vec<i32> {
        let mut targets: Vec<i32> = others.iter().map(|&to| to as i32).collect();
        targets.push(TEXT as i32);
        targets.sort_unstable();
        targets
    };
    let mut conversions = BTreeMap::new();
    for from in NUMBERS {
        conversions.insert(from as i32, text_and(&NUMBERS));
    }
    conversions.insert(
        Convert::SqlConvertDate as i32,
        text_and(&[Convert::SqlConvertDate, Convert::SqlConvertTimestamp]),
    );
    conversions.insert(
        Convert::SqlConvertTime as i32,
        text_and(&[Convert::SqlConvertTime]),
    );
    conversions.insert(Convert::SqlConvertTimestamp as i32, text_and(&TIMES));
    conversions.insert(BYTES as i32, text_and(&[BYTES]));
    conversions.insert(TEXT as i32, {
        let mut all = NUMBERS.to_vec();
        all.extend(TIMES);
        all.push(BYTES);
        text_and(&all)
    });
    conversions
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, UnionArray};

    use super::*;

    /// The union child that `FlightSql.proto` names for each value.
    fn child(name: u32) -> Option<i8> {
        Some(match name {
            0..=2 | 504 | 513 | 514 | 529 | 530 | 531 => 0,
            3..=5 | 9..=11 | 500..=502 | 506 | 515 | 516 | 518..=521 | 523 | 524 | 527 | 532 => 1,
            536 | 537 | 539 | 556 | 563 | 565 | 566 | 572..=576 => 1,
            541..=555 | 557..=562 => 2,
            8 | 100 | 101 | 503 | 505 | 507 | 522 | 525 | 526 | 528 | 533..=535 => 3,
            538 | 540 | 564 | 567..=571 => 3,
            508..=512 => 4,
            517 => 5,
            _ => return None,
        })
    }

    fn info() -> RecordBatch {
        all(weft_engine::functions()).unwrap()
    }

    #[test]
    fn every_value_is_there_in_its_own_child() {
        let batch = info();
        let names = batch.column(0).as_primitive::<UInt32Type>();
        let values = batch
            .column(1)
            .as_any()
            .downcast_ref::<UnionArray>()
            .unwrap();
        let expected: Vec<u32> = (0..1_000).filter(|name| child(*name).is_some()).collect();
        assert_eq!(names.values(), expected.as_slice());
        for (row, name) in expected.iter().enumerate() {
            assert_eq!(Some(values.type_id(row)), child(*name), "{name}");
        }
    }

    #[test]
    fn the_version_has_three_numbers() {
        assert_eq!(VERSION.split('.').count(), 3);
        assert!(
            VERSION
                .split('.')
                .all(|number| number.parse::<u32>().is_ok())
        );
    }

    #[test]
    fn values_are_selected_and_an_empty_list_means_all_that_old_drivers_know() {
        let batch = info();
        let all = select(&batch, &[]).unwrap();
        assert_eq!(all.num_rows(), batch.num_rows() - WHEN_ASKED.len());
        let known = all.column(0).as_primitive::<UInt32Type>().values();
        assert!(known.contains(&9) && !known.contains(&10) && !known.contains(&11));
        assert_eq!(select(&batch, &[10, 11]).unwrap().num_rows(), 2);
        let few = select(&batch, &[508, 0, 999_999]).unwrap();
        let names = few.column(0).as_primitive::<UInt32Type>();
        assert_eq!(names.values(), &[0, 508]);
    }
}
