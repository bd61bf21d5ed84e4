//! What rules make of values is what the server gives back, byte for byte.

use pfdata::anonymize::{Key, RuleSet};
use pfdata::config::secret::Secret;
use pfdata::pipeline::block::{Block, Cleared};
use pfdata::store::postgres::{Source, SourceOptions, TableRef, Target, swap};
use pfdata::store::shape::Spelling;
use tokio::sync::mpsc;

use crate::{Carried, Scratch, rows_of};

const TABLE: &str = "
    CREATE DOMAIN public.money_of AS numeric(14,2);
    CREATE DOMAIN public.price AS public.money_of CHECK (VALUE >= 0);
    CREATE DOMAIN public.whole AS numeric(6);
    CREATE DOMAIN public.ratio AS real;
    CREATE DOMAIN public.network AS cidr;
    CREATE DOMAIN public.code AS char(8);
    CREATE DOMAIN public.codes AS char(5)[];
    CREATE TABLE public.t (
        redacted public.price, fixed public.money_of, noisy public.price, whole public.whole,
        ratio public.ratio, network public.network, code public.code, blank public.code,
        letters char(6)[], coded public.code[], codes public.codes, amounts public.price[],
        plain numeric(14,2), padded char(4));
    INSERT INTO public.t VALUES
        (1234.5, 99, 10.10, 42, 1e20, '10.1.0.0/16', 'ab', 'x',
         '{ab,NULL,abcdef,\"\",\"a b\"}', '{{q,r},{NULL,s}}', '[0:1]={u,\"v,w\"}', '{1,NULL,2.5}',
         7, 'yz'),
        (NULL, 0, 0, 0, 0.1, '2001:db8::/32', '', 'Ann', '{}', NULL, '{\"\"}', '{0}', -7, 'ä'),
        (5, -1, 99.99, 999999, -2.5, '10.1.2.3/32', 'abcdefgh', '', '{éé}', '{abcdefgh}', '{}',
         '{{3},{4}}', NULL, '')";

const RULES: &str = r#"version = 1
[postgres."public.t"]
redacted = "redact"
fixed    = { use = "constant", value = 5 }
noisy    = "number_noise"
whole    = { use = "constant", value = 7 }
ratio    = { use = "constant", value = 1234567 }
network  = "ip"
code     = "text"
blank    = { use = "constant", value = "ok" }
letters  = { each = "text" }
coded    = { each = "mask" }
codes    = { each = { use = "choice", values = ["a", "b b"] } }
amounts  = { each = "redact" }
plain    = "redact"
padded   = "mask"
"#;

#[tokio::test]
async fn masked_values_of_domains_and_padded_arrays_come_back_as_they_were_written() {
    let source = Scratch::new(TABLE).await;
    let target = Scratch::absent();
    let carried = Carried::from(&source.endpoint).await;
    let table = &carried.source.catalog().tables[0];
    let spelled =
        |name: &str| table.columns.iter().find(|column| column.name == name).unwrap().spelling;
    assert_eq!(spelled("redacted"), Spelling::Scaled(2));
    assert_eq!(spelled("whole"), Spelling::Scaled(0));
    assert_eq!(spelled("amounts"), Spelling::Scaled(2));
    assert_eq!(spelled("ratio"), Spelling::Single);
    assert_eq!(spelled("network"), Spelling::Network);
    for name in ["code", "letters", "coded", "codes", "padded"] {
        assert_eq!(spelled(name), Spelling::Padded, "{name}");
    }

    let key = Key::new(&Secret::new("a key for tests, of 32 bytes or more")).unwrap();
    let rules = RuleSet::parse(&[("rules.toml".to_owned(), RULES.to_owned())]).unwrap();
    let plan = rules.postgres(&carried.source.catalog().tables, false, &key).unwrap();
    let (rows, raw) = rows_of(&carried.source, "t").await;
    let masked = plan.transform(0).unwrap().apply(Block::raw(raw.into_bytes(), rows)).unwrap();
    let expected = String::from_utf8(masked.bytes().to_vec()).unwrap();

    let loaded = Target::prepare(&target.endpoint, carried.options()).await.unwrap();
    loaded.load_pre_data(&carried.path()).await.unwrap();
    let (sender, mut cleared) = mpsc::channel::<Block<Cleared>>(1);
    sender.send(masked).await.unwrap();
    drop(sender);
    let loader = loaded.loader().await.unwrap();
    loader.load(&TableRef::from(table), &mut cleared, rows, true).await.unwrap();
    loaded.load_post_data(&carried.path(), 1).await.unwrap();
    swap::swap(&target.endpoint).await.unwrap();

    let restored = Source::open(&target.endpoint, SourceOptions::default()).await.unwrap();
    let (count, stored) = rows_of(&restored, "t").await;
    assert_eq!(count, rows);
    assert_eq!(stored, expected);
    assert!(expected.starts_with("0.00\t5.00\t"), "{expected}");
}
