//! The Open Data Contract Standard, v3.0.0 to v3.2.0 taken together: every key
//! that its JSON schemas know. What weft has no use for is checked here and
//! then left alone; keys outside the standard are refused, as
//! `datacontract lint` does.
//!
//! Source: bitol-io/open-data-contract-standard, `schema/odcs-json-schema-v3.*.json`.

use super::shape::{Object, Shape};

type Keys = &'static [(&'static str, &'static Shape)];

const ANY: &Shape = &Shape::Any;
const TEXT: &Shape = &Shape::Text;
const BOOLEAN: &Shape = &Shape::Boolean;
const INTEGER: &Shape = &Shape::Integer;
const NUMBER: &Shape = &Shape::Number;
const TEXTS: &Shape = &Shape::List(TEXT);
const TEXT_OR_TEXTS: &Shape = &Shape::Either(&[Shape::Text, Shape::List(TEXT)]);
const NONE: Keys = &[];

/// The contract as a whole.
pub(crate) static CONTRACT: Shape = Shape::Object(&Object {
    name: "a contract",
    required: &["apiVersion", "kind", "id", "version"],
    keys: &[
        ("apiVersion", TEXT),
        ("kind", TEXT),
        ("id", TEXT),
        ("name", TEXT),
        ("version", TEXT),
        ("status", TEXT),
        ("domain", TEXT),
        ("dataProduct", TEXT),
        ("tenant", TEXT),
        ("description", &DESCRIPTION),
        ("servers", &Shape::List(&SERVER)),
        ("schema", &Shape::List(&SCHEMA_OBJECT)),
        ("slaProperties", &Shape::List(&SLA_PROPERTY)),
        ("slaDefaultElement", TEXT),
        ("team", &Shape::Either(&[TEAM_OBJECT, Shape::List(&MEMBER)])),
        ("roles", ROLES),
        ("support", &Shape::List(&SUPPORT)),
        ("price", &PRICE),
        ("context", CONTEXT),
        ("contractCreatedTs", TEXT),
    ],
    also: ANNOTATIONS,
});

const CUSTOM: (&str, &Shape) = ("customProperties", &Shape::List(&CUSTOM_PROPERTY));
const DEFINITIONS: (&str, &Shape) = ("authoritativeDefinitions", &Shape::List(&DEFINITION));
const TAGS: (&str, &Shape) = ("tags", TEXTS);

/// What almost every object may carry.
const ANNOTATIONS: Keys = &[CUSTOM, DEFINITIONS, TAGS];

static CUSTOM_PROPERTY: Shape = Shape::Object(&Object {
    name: "a custom property",
    required: &["property", "value"],
    keys: &[
        ("id", TEXT),
        ("property", TEXT),
        ("value", ANY),
        ("description", TEXT),
        ("vendor", TEXT),
    ],
    also: NONE,
});

static DEFINITION: Shape = Shape::Object(&Object {
    name: "an authoritative definition",
    required: &["url", "type"],
    keys: &[
        ("id", TEXT),
        ("url", TEXT),
        ("type", TEXT),
        ("description", TEXT),
    ],
    also: NONE,
});

static DESCRIPTION: Shape = Shape::Object(&Object {
    name: "`description`",
    required: &[],
    keys: &[("usage", TEXT), ("purpose", TEXT), ("limitations", TEXT)],
    also: &[CUSTOM, DEFINITIONS],
});

/// The keys of every server. Those of the types that weft reads are checked
/// exactly by `server.rs`; the rest stand here for all types together.
static SERVER: Shape = Shape::Object(&Object {
    name: "a server",
    required: &["server", "type"],
    keys: &[
        ("id", TEXT),
        ("server", TEXT),
        ("type", TEXT),
        ("description", TEXT),
        ("environment", TEXT),
        ("roles", ROLES),
        ("location", TEXT),
        ("path", TEXT),
        ("format", TEXT),
        ("delimiter", TEXT),
        ("encoding", TEXT),
        ("endpointUrl", TEXT),
        ("account", TEXT),
        ("catalog", TEXT),
        ("catalogUrl", TEXT),
        ("database", TEXT),
        ("dataset", TEXT),
        ("host", TEXT),
        ("namespace", TEXT),
        ("port", &Shape::Scalar),
        ("project", TEXT),
        ("region", TEXT),
        ("regionName", TEXT),
        ("schema", &Shape::Scalar),
        ("serviceName", TEXT),
        ("stagingDir", TEXT),
        ("stream", TEXT),
        ("warehouse", TEXT),
        ("workgroup", TEXT),
    ],
    also: &[CUSTOM],
});

/// What schema objects and properties have in common.
const ELEMENT: Keys = &[
    ("id", TEXT),
    ("name", TEXT),
    ("physicalType", TEXT),
    ("physicalName", TEXT),
    ("description", TEXT),
    ("businessName", TEXT),
    ("deprecated", BOOLEAN),
    ("synonyms", &Shape::List(&SYNONYM)),
    ("quality", &Shape::List(&QUALITY)),
    ("relationships", &Shape::List(&RELATIONSHIP)),
    CUSTOM,
    DEFINITIONS,
    TAGS,
];

static SCHEMA_OBJECT: Shape = Shape::Object(&Object {
    name: "a schema object",
    required: &["name"],
    keys: &[
        ("logicalType", TEXT),
        ("dataGranularityDescription", TEXT),
        ("properties", &Shape::List(&PROPERTY)),
        ("context", CONTEXT),
    ],
    also: ELEMENT,
});

static PROPERTY_KEYS: [(&str, &Shape); 20] = [
    ("logicalType", TEXT),
    ("logicalTypeOptions", &LOGICAL_TYPE_OPTIONS),
    ("primaryKey", BOOLEAN),
    ("primaryKeyPosition", INTEGER),
    ("required", BOOLEAN),
    ("unique", BOOLEAN),
    ("partitioned", BOOLEAN),
    ("partitionKeyPosition", INTEGER),
    ("classification", TEXT),
    ("encryptedName", TEXT),
    ("transformSourceObjects", TEXTS),
    ("transformLogic", TEXT),
    ("transformDescription", TEXT),
    ("examples", &Shape::List(ANY)),
    ("enum", &Shape::List(&ENUM_VALUE)),
    ("semanticType", TEXT),
    ("criticalDataElement", BOOLEAN),
    ("properties", &Shape::List(&PROPERTY)),
    ("items", &ITEMS),
    ("map", &MAP),
];

static PROPERTY: Shape = Shape::Object(&Object {
    name: "a property",
    required: &["name"],
    keys: &PROPERTY_KEYS,
    also: ELEMENT,
});

static ITEMS: Shape = Shape::Object(&Object {
    name: "an item",
    required: &[],
    keys: &PROPERTY_KEYS,
    also: ELEMENT,
});

static MAP: Shape = Shape::Object(&Object {
    name: "`map`",
    required: &["key", "value"],
    keys: &[("key", &ITEMS), ("value", &ITEMS)],
    also: NONE,
});

/// The options of all logical types together.
static LOGICAL_TYPE_OPTIONS: Shape = Shape::Object(&Object {
    name: "`logicalTypeOptions`",
    required: &[],
    keys: &[
        ("format", TEXT),
        ("minLength", INTEGER),
        ("maxLength", INTEGER),
        ("pattern", TEXT),
        ("minimum", &Shape::Scalar),
        ("maximum", &Shape::Scalar),
        ("exclusiveMinimum", &Shape::Scalar),
        ("exclusiveMaximum", &Shape::Scalar),
        ("multipleOf", NUMBER),
        ("timezone", BOOLEAN),
        ("defaultTimezone", TEXT),
        ("minProperties", INTEGER),
        ("maxProperties", INTEGER),
        ("required", TEXTS),
        ("minItems", INTEGER),
        ("maxItems", INTEGER),
        ("uniqueItems", BOOLEAN),
        ("dimensions", INTEGER),
        ("elementType", TEXT),
        ("distanceMetric", TEXT),
        ("embeddingModel", TEXT),
        ("embeddingModelVersion", TEXT),
        ("normalized", BOOLEAN),
    ],
    also: NONE,
});

static ENUM_VALUE: Shape = Shape::Object(&Object {
    name: "an enum value",
    required: &["value"],
    keys: &[
        ("id", TEXT),
        ("value", ANY),
        ("label", TEXT),
        ("description", TEXT),
    ],
    also: ANNOTATIONS,
});

static SYNONYM: Shape = Shape::Object(&Object {
    name: "a synonym",
    required: &["synonym"],
    keys: &[
        ("id", TEXT),
        ("synonym", TEXT),
        ("description", TEXT),
        ("locale", TEXT),
        ("source", TEXT),
        ("status", TEXT),
    ],
    also: &[CUSTOM],
});

static RELATIONSHIP: Shape = Shape::Object(&Object {
    name: "a relationship",
    required: &["to"],
    keys: &[
        ("id", TEXT),
        ("type", TEXT),
        ("from", TEXT_OR_TEXTS),
        ("to", TEXT_OR_TEXTS),
    ],
    also: &[CUSTOM],
});

static QUALITY: Shape = Shape::Object(&Object {
    name: "a quality check",
    required: &[],
    keys: &[
        ("id", TEXT),
        ("name", TEXT),
        ("type", TEXT),
        ("description", TEXT),
        ("businessImpact", TEXT),
        ("dimension", TEXT),
        ("method", TEXT),
        ("schedule", TEXT),
        ("scheduler", TEXT),
        ("severity", TEXT),
        ("unit", TEXT),
        ("metric", TEXT),
        ("rule", TEXT),
        ("arguments", ANY),
        ("query", TEXT),
        ("engine", TEXT),
        ("implementation", ANY),
        ("mustBe", ANY),
        ("mustNotBe", ANY),
        ("mustBeGreaterThan", NUMBER),
        ("mustBeGreaterOrEqualTo", NUMBER),
        ("mustBeLessThan", NUMBER),
        ("mustBeLessOrEqualTo", NUMBER),
        ("mustBeBetween", &Shape::List(NUMBER)),
        ("mustNotBeBetween", &Shape::List(NUMBER)),
    ],
    also: ANNOTATIONS,
});

static SLA_PROPERTY: Shape = Shape::Object(&Object {
    name: "an SLA property",
    required: &["property", "value"],
    keys: &[
        ("id", TEXT),
        ("property", TEXT),
        ("value", ANY),
        ("valueExt", ANY),
        ("unit", TEXT),
        ("element", TEXT),
        ("driver", TEXT),
        ("description", TEXT),
        ("scheduler", TEXT),
        ("schedule", TEXT),
    ],
    also: &[CUSTOM, DEFINITIONS],
});

const TEAM_OBJECT: Shape = Shape::Object(&Object {
    name: "a team",
    required: &[],
    keys: &[
        ("id", TEXT),
        ("name", TEXT),
        ("description", TEXT),
        ("members", &Shape::List(&MEMBER)),
    ],
    also: ANNOTATIONS,
});

static MEMBER: Shape = Shape::Object(&Object {
    name: "a team member",
    required: &[],
    keys: &[
        ("id", TEXT),
        ("username", TEXT),
        ("name", TEXT),
        ("description", TEXT),
        ("role", TEXT),
        ("dateIn", TEXT),
        ("dateOut", TEXT),
        ("replacedByUsername", TEXT),
    ],
    also: ANNOTATIONS,
});

const ROLES: &Shape = &Shape::List(&ROLE);
static ROLE: Shape = Shape::Object(&Object {
    name: "a role",
    required: &["role"],
    keys: &[
        ("id", TEXT),
        ("role", TEXT),
        ("description", TEXT),
        ("access", TEXT),
        ("firstLevelApprovers", TEXT),
        ("secondLevelApprovers", TEXT),
    ],
    also: &[CUSTOM],
});

static SUPPORT: Shape = Shape::Object(&Object {
    name: "a support channel",
    required: &["channel"],
    keys: &[
        ("id", TEXT),
        ("channel", TEXT),
        ("url", TEXT),
        ("description", TEXT),
        ("tool", TEXT),
        ("scope", TEXT),
        ("invitationUrl", TEXT),
    ],
    also: &[CUSTOM],
});

static PRICE: Shape = Shape::Object(&Object {
    name: "a price",
    required: &[],
    keys: &[
        ("id", TEXT),
        ("priceAmount", NUMBER),
        ("priceCurrency", TEXT),
        ("priceUnit", TEXT),
    ],
    also: NONE,
});

const CONTEXT: &Shape = &Shape::Either(&[
    Shape::Text,
    Shape::Object(&Object {
        name: "a context",
        required: &[],
        keys: &[
            ("instructions", TEXT),
            ("verifiedStatements", &Shape::List(&STATEMENT)),
            ("constraints", &Shape::List(&CONSTRAINT)),
        ],
        also: NONE,
    }),
]);

static STATEMENT: Shape = Shape::Object(&Object {
    name: "a verified statement",
    required: &["question"],
    keys: &[("id", TEXT), ("question", TEXT), ("answer", TEXT)],
    also: ANNOTATIONS,
});

static CONSTRAINT: Shape = Shape::Object(&Object {
    name: "a constraint",
    required: &["constraint"],
    keys: &[("id", TEXT), ("constraint", TEXT)],
    also: ANNOTATIONS,
});
