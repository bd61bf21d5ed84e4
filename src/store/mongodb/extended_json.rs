//! Extended JSON v2: canonical for metadata, canonical or relaxed for seeds.
//!
//! <https://github.com/mongodb/specifications/blob/master/source/extended-json/extended-json.md>

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::CString;
use mongodb::bson::{
    Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Regex, Timestamp, Uuid,
};
use serde_json::{Map, Value, json};

use crate::error::{Error, OrFail, Result};

/// How deep a value may be nested; the server's own limit is 100 (180 while it stores).
const DEPTH: usize = 200;

/// A document in canonical form, field order kept.
///
/// # Errors
/// Never for what a server's catalog holds; DBPointer and unknown future types are refused.
pub fn canonical_document(document: &Document) -> Result<Value> {
    let mut fields = Map::with_capacity(document.len());
    for (key, value) in document {
        fields.insert(key.clone(), canonical(value)?);
    }
    Ok(Value::Object(fields))
}

/// The document that `bytes` hold, in canonical form.
///
/// # Errors
/// Bytes that are no document, or hold types that cannot be written.
pub fn of_bytes(bytes: &[u8]) -> Result<Value> {
    let document = Document::from_reader(bytes).or_fail(|| "a document cannot be read")?;
    canonical_document(&document)
}

/// A value in canonical form.
pub fn canonical(value: &Bson) -> Result<Value> {
    Ok(match value {
        Bson::Double(number) => json!({ "$numberDouble": double(*number) }),
        Bson::String(text) => json!(text),
        Bson::Array(items) => Value::Array(items.iter().map(canonical).collect::<Result<_>>()?),
        Bson::Document(document) => canonical_document(document)?,
        Bson::Boolean(truth) => json!(truth),
        Bson::Null => Value::Null,
        Bson::RegularExpression(regex) => json!({ "$regularExpression":
            { "pattern": regex.pattern.as_str(), "options": regex.options.as_str() } }),
        Bson::JavaScriptCode(code) => json!({ "$code": code }),
        Bson::JavaScriptCodeWithScope(code) => {
            json!({ "$code": code.code, "$scope": canonical_document(&code.scope)? })
        }
        Bson::Int32(number) => json!({ "$numberInt": number.to_string() }),
        Bson::Int64(number) => json!({ "$numberLong": number.to_string() }),
        Bson::Timestamp(Timestamp { time, increment }) => {
            json!({ "$timestamp": { "t": time, "i": increment } })
        }
        Bson::Binary(Binary { subtype, bytes }) => json!({ "$binary":
            { "base64": base64(bytes), "subType": format!("{:02x}", u8::from(*subtype)) } }),
        Bson::ObjectId(id) => json!({ "$oid": id.to_hex() }),
        Bson::DateTime(moment) => {
            json!({ "$date": { "$numberLong": moment.timestamp_millis().to_string() } })
        }
        Bson::Symbol(text) => json!({ "$symbol": text }),
        Bson::Decimal128(number) => json!({ "$numberDecimal": number.to_string() }),
        Bson::Undefined => json!({ "$undefined": true }),
        Bson::MinKey => json!({ "$minKey": 1 }),
        Bson::MaxKey => json!({ "$maxKey": 1 }),
        Bson::DbPointer(_) => {
            return Err(Error::failed("a DBPointer cannot be written as metadata"));
        }
    })
}

fn double(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        // `{:?}` keeps `.0` and the sign of zero, and goes over to an exponent where that is
        // shorter, as the specification allows.
        format!("{number:?}")
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            if place <= group.len() {
                out.push(char::from(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// Reads a document in canonical or relaxed form.
///
/// # Errors
/// Exit 2 if it is not an object or a `$`-typed value in it is malformed; the message names the
/// field, never the value.
pub fn parse_document(value: &Value) -> Result<Document> {
    match value {
        Value::Object(fields) => fields_of(fields, 0),
        _ => Err(Error::usage("not an object")),
    }
}

fn fields_of(fields: &Map<String, Value>, depth: usize) -> Result<Document> {
    let mut document = Document::new();
    for (key, value) in fields {
        let value = parse(value, depth + 1).map_err(|error| match depth {
            0 => error.context(format!("field `{key}`")),
            _ => error,
        })?;
        document.insert(key.clone(), value);
    }
    Ok(document)
}

fn parse(value: &Value, depth: usize) -> Result<Bson> {
    if depth > DEPTH {
        return Err(Error::usage(format!("nested more than {DEPTH} levels deep")));
    }
    Ok(match value {
        Value::Null => Bson::Null,
        Value::Bool(truth) => Bson::Boolean(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
            (None, Some(real)) if !number.is_u64() => Bson::Double(real),
            _ => return Err(Error::usage("a whole number is outside of 64 bits")),
        },
        Value::String(text) => Bson::String(text.clone()),
        Value::Array(items) => Bson::Array(
            items.iter().map(|item| parse(item, depth + 1)).collect::<Result<Vec<_>>>()?,
        ),
        Value::Object(fields) => match typed(fields, depth)? {
            Some(value) => value,
            None => Bson::Document(fields_of(fields, depth)?),
        },
    })
}

/// The value that an object stands for, if it is one of the `$`-typed ones. An object with more
/// or other keys than the type has is a document: `{"$regex": …, "$options": …}` of a validator
/// and `{"$type": …}` stay what they are.
fn typed(fields: &Map<String, Value>, depth: usize) -> Result<Option<Bson>> {
    let mut keys = fields.iter();
    let (Some((key, value)), second) = (keys.next(), keys.next()) else { return Ok(None) };
    let malformed = || Error::usage(format!("the value of `{key}` is malformed"));
    if let Some((other, scope)) = second {
        let code = (key == "$code" && other == "$scope" && fields.len() == 2)
            .then(|| value.as_str().zip(scope.as_object()))
            .flatten();
        return code
            .map(|(code, scope)| {
                let scope = fields_of(scope, depth + 1)?;
                Ok(JavaScriptCodeWithScope { code: code.to_owned(), scope }.into())
            })
            .transpose();
    }
    if !key.starts_with('$') {
        return Ok(None);
    }
    let text = || value.as_str().ok_or_else(malformed);
    Ok(Some(match key.as_str() {
        "$oid" => ObjectId::parse_str(text()?).map_err(|_| malformed())?.into(),
        "$numberInt" => Bson::Int32(text()?.parse().map_err(|_| malformed())?),
        "$numberLong" => Bson::Int64(text()?.parse().map_err(|_| malformed())?),
        "$numberDouble" => Bson::Double(text()?.parse().map_err(|_| malformed())?),
        "$numberDecimal" => {
            Bson::Decimal128(text()?.parse::<Decimal128>().map_err(|_| malformed())?)
        }
        "$symbol" => Bson::Symbol(text()?.to_owned()),
        "$code" => Bson::JavaScriptCode(text()?.to_owned()),
        "$uuid" => Uuid::parse_str(text()?).map_err(|_| malformed())?.into(),
        "$undefined" => Bson::Undefined,
        "$minKey" => Bson::MinKey,
        "$maxKey" => Bson::MaxKey,
        "$date" => date(value).ok_or_else(malformed)?,
        "$timestamp" => timestamp(value).ok_or_else(malformed)?,
        "$binary" => binary(value).ok_or_else(malformed)?,
        "$regularExpression" => regex(value).ok_or_else(malformed)?,
        "$dbPointer" => return Err(Error::not_built("a DBPointer in Extended JSON")),
        _ => return Ok(None),
    }))
}

fn date(value: &Value) -> Option<Bson> {
    let millis = match value {
        Value::String(text) => text.parse::<jiff::Timestamp>().ok()?.as_millisecond(),
        Value::Number(number) => number.as_i64()?,
        Value::Object(fields) => fields.get("$numberLong")?.as_str()?.parse().ok()?,
        _ => return None,
    };
    Some(Bson::DateTime(DateTime::from_millis(millis)))
}

fn timestamp(value: &Value) -> Option<Bson> {
    let part = |name: &str| u32::try_from(value.get(name)?.as_u64()?).ok();
    Some(Bson::Timestamp(Timestamp { time: part("t")?, increment: part("i")? }))
}

fn binary(value: &Value) -> Option<Bson> {
    let subtype = u8::from_str_radix(value.get("subType")?.as_str()?, 16).ok()?;
    let text = value.get("base64")?.as_str()?;
    Binary::from_base64(text, Some(subtype.into())).ok().map(Bson::Binary)
}

fn regex(value: &Value) -> Option<Bson> {
    let pattern = value.get("pattern")?.as_str()?;
    let options = value.get("options")?.as_str()?;
    // The specification wants the options in alphabetical order.
    let mut options: Vec<char> = options.chars().collect();
    options.sort_unstable();
    let options: String = options.into_iter().collect();
    Some(Bson::RegularExpression(Regex {
        pattern: CString::try_from(pattern).ok()?,
        options: CString::try_from(options).ok()?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{doc, spec::BinarySubtype};

    fn c(text: &str) -> CString {
        CString::try_from(text).unwrap()
    }

    #[test]
    fn canonical_text_comes_back_as_the_same_values() {
        let document = doc! {
            "int": 1, "long": 5_000_000_000_i64, "double": 1.0, "zero": -0.0, "big": 1e300,
            "inf": f64::NEG_INFINITY, "text": "é\n", "null": null, "yes": true,
            "id": ObjectId::new(), "date": DateTime::from_millis(-1), "array": [1, { "a": 2_i64 }],
            "decimal": "1.10".parse::<Decimal128>().unwrap(),
            "binary": Binary { subtype: BinarySubtype::UuidOld, bytes: vec![1, 2, 3, 4] },
            "stamp": Timestamp { time: 4_294_967_295, increment: 2 },
            "regex": Regex { pattern: c("^a"), options: c("im") },
            "code": Bson::JavaScriptCode("x".to_owned()), "min": Bson::MinKey,
            "validator": { "name": { "$regex": "^a", "$options": "i" }, "age": { "$type": "int" } },
        };
        let text = canonical_document(&document).unwrap().to_string();
        let back = parse_document(&serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(document, back);
        assert!(text.starts_with(
            r#"{"int":{"$numberInt":"1"},"long":{"$numberLong":"5000000000"},"double":{"$numberDouble":"1.0"},"zero":{"$numberDouble":"-0.0"}"#
        ));
    }

    #[test]
    fn relaxed_forms_are_read() {
        let text = r#"{"a":1,"b":5000000000,"c":1.5,"d":{"$date":"2026-01-02T03:04:05.678Z"},
            "e":{"$uuid":"73ffd264-44b3-4c69-90e8-e7d1dfc035d4"},"f":{"$date":0}}"#;
        let document = parse_document(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(document.get("a"), Some(&Bson::Int32(1)));
        assert_eq!(document.get("b"), Some(&Bson::Int64(5_000_000_000)));
        assert_eq!(document.get("c"), Some(&Bson::Double(1.5)));
        assert_eq!(document.get_datetime("d").unwrap().timestamp_millis(), 1_767_323_045_678);
        assert!(matches!(document.get("e"), Some(Bson::Binary(_))));
    }

    #[test]
    fn malformed_values_name_the_field_and_not_the_value() {
        for text in [
            r#"{"secret":{"$oid":"topsecret"}}"#,
            r#"{"secret":{"$date":"topsecret"}}"#,
            r#"{"secret":{"$binary":"topsecret"}}"#,
            r#"{"secret":18446744073709551615}"#,
        ] {
            let error = parse_document(&serde_json::from_str(text).unwrap()).unwrap_err();
            assert!(error.to_string().contains("secret"), "{error}");
            assert!(!error.to_string().contains("topsecret"), "{error}");
        }
        assert!(parse_document(&json!([1])).is_err());
    }

    #[test]
    fn base64_has_its_padding() {
        let all: Vec<String> = (0..4).map(|n| base64(&b"foo"[..n])).collect();
        assert_eq!(all, ["", "Zg==", "Zm8=", "Zm9v"]);
    }
}
