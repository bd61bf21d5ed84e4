//! Keys that are refused and keys that pass.

use proptest::prelude::*;

use super::secret::Secret;
use super::strength::{MIN_BITS, check, estimate};

fn bits(text: &str) -> u32 {
    estimate(&Secret::new(text))
}

/// The same piece again and again, at least 40 bytes of it.
fn again(piece: &str) -> String {
    piece.repeat(40 / piece.len() + 1)
}

#[track_caller]
fn weak(text: &str) {
    assert!(bits(text) < MIN_BITS, "{text:?} is worth {}", bits(text));
}

#[test]
fn what_cannot_be_seen_counts_for_nothing() {
    for blank in [' ', '\t', '\n', '\u{a0}', '\u{2003}', '\u{200b}', '\u{feff}', '\0', '\u{3000}'] {
        assert_eq!(bits(&blank.to_string().repeat(64)), 0, "{blank:?}");
    }
    assert_eq!(bits(&" \t\n\r\u{b}\u{c}\u{85}\u{2028}".repeat(9)), 0);
    weak(&format!("{}correct horse", " ".repeat(64)));
    weak("    Xk9 \t\n  vQ2  mZ7     pL4     ");
}

#[test]
fn runs_and_repeated_blocks_count_once() {
    for piece in [
        "a",
        "ab",
        "aB3",
        "x9Kq",
        "hunter2!",
        "progressive",
        "Tr0ub4dor&3",
        "7f3a9c00",
        "é",
        "ключ",
    ] {
        weak(&again(piece));
    }
    weak("aaazzzqqqmmmkkktttwwwbbbsssxxxeeevvv");
    weak("aazzqqmmkkttwwbbssxxeevvnnllppddhhggffyyuu");
    weak("hunter2-hunter2_hunter2.hunter2+hunter2");
    weak("Progressive2024!Progressive2025!PROGRESSIVE2026!");
    weak("0123456789abcdef0123456789abcdef0123456789abcdef");
    weak("deadbeefdeadbeefdeadbeefdeadbeefdeadbeef");
}

#[test]
fn sequences_and_rows_of_keyboards_count_once() {
    for text in [
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop",
        "zyxwvutsrqponmlkjihgfedcbazyxwvutsrqponm",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghij",
        "12345678901234567890123456789012",
        "98765432109876543210987654321098",
        "acegikmoqsuwybdfhjlnprtvxz13579024680",
        "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8s9t0",
        "aabbccddeeffgghhiijjkkllmmnnooppqqrrssttuu",
        "qwertyuiopasdfghjklzxcvbnm1234567890",
        "poiuytrewqlkjhgfdsamnbvcxz0987654321",
        "QwertzuiopAsdfghjklYxcvbnm1234567890",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.",
        "!@#$%^&*()_+QWERTYUIOPasdfghjkl;'zxcvb",
        "abc123def456ghi789jkl012mno345pqr678",
    ] {
        weak(text);
    }
}

#[test]
fn common_words_count_for_one_character() {
    for text in [
        "password-secret-key-test-pfdata-production",
        "changeme-in-production-this-is-a-secret-key",
        "ChangeMeChangeMe_ThisIsTheSecretKeyForPfdata",
        "P4ssw0rd-S3cr3t-K3y-T3st-Pr0duct10n-D3v!",
        "your-secret-key-here-at-least-32-characters-long",
        "<replace this with a key of at least 32 bytes>",
        "a key for tests, of 32 bytes or more",
        "a key for tests that is longer than thirty-two bytes",
        "another key that is longer than thirty-two bytes",
        "${PFDATA_ANONYMIZE_KEY} PFDATA_ANONYMIZE_KEY=",
        "the quick brown fox jumped over the lazy dog",
        "bench bench bench bench bench bench bench bench ",
        "January February March April May June July 2026",
        "development staging preproduction production 2026",
        "correcthorsebatterystaplecorrecthorsebatterystaple",
        "it was the best of times, it was the worst of times",
        "MyCompanyName2026AnonymizeKeyForProd!!",
        "Summer2026!Winter2027!Autumn2028!Spring",
        "admin123admin456admin789admin012",
        "ProgressiveFrameworkV5-Production-2026",
        "+49 170 1234567, +49 171 7654321, +49 30 1111",
        "lorem ipsum dolor sit amet consectetur adipiscing elit",
        "twinkle twinkle little star how i wonder what you are",
        "00000000-0000-0000-0000-000000000000",
        "12345678-1234-1234-1234-123456789012",
        "8204-9173-6558-2031-9942-7716-3308-2719",
        "super_secret_anonymization_key_do_not_share_v2",
        "THIS IS NOT A REAL KEY, DO NOT USE IT IN PRODUCTION",
    ] {
        weak(text);
    }
}

#[test]
fn text_that_was_only_encoded_or_digested_is_worth_what_it_was() {
    // base64 and hex of `password-secret-key-production`, and of the alphabet.
    weak("cGFzc3dvcmQtc2VjcmV0LWtleS1wcm9kdWN0aW9u");
    weak("70617373776f72642d7365637265742d6b65792d70726f64756374696f6e");
    weak("YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU2Nzg5Cg==");
    // SHA-256 of `password`, `secret` in capitals, and of nothing.
    for digest in [
        "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
        "2BB80D537B1DA3E38BD30361AA855686BDE0EACD7162FEF6A25FE97BF527A25B",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ] {
        assert_eq!(bits(digest), 0, "{digest}");
    }
}

#[test]
fn characters_count_not_bytes() {
    // 32 bytes each, but 16 and 8 characters.
    weak("éàüößñçøåæœžšđłğ");
    weak("😀🎉🚀🔑🐘🦀🍃🧪");
    assert!(bits("éX9àüm2ößQñçø7åæKœžšđ4łğZwPt") >= MIN_BITS);
}

#[test]
fn a_refusal_tells_the_estimate_and_what_to_do_but_never_the_key() {
    let told = |key: &str| {
        let error = check(&Secret::new(key), "x.json: `data.anonymize.key`").unwrap_err();
        assert_eq!(error.kind().exit_code(), 2);
        assert_eq!(error.hint_text(), Some("make one with: openssl rand -base64 32"));
        format!("{error} {error:?}")
    };
    let text = told("Tr0ub4dor&3-Tr0ub4dor&3-Tr0ub4dor&3");
    assert!(text.contains("x.json: `data.anonymize.key` is worth an estimated 78 bits"), "{text}");
    assert!(!text.contains("Tr0"), "{text}");
    let text = told("Zp9xV2mQ7tLr0sWbNc4KfJhYd8EuGa1");
    assert!(text.contains("at least 32 bytes") && !text.contains("Zp9"), "{text}");
}

#[test]
fn an_estimate_is_length_times_the_smallest_class() {
    for (text, expected) in [
        ("8204917365", 33),
        ("8f20c4a6", 32),
        ("8F20C4A6", 32),
        ("hzgkqxvp", 37),
        ("h2gkq8vp", 41),
        ("hZgKqxVp", 45),
        ("h2gKq8vp", 47),
        ("h2gKq+v.", 52),
        // One kind of sign only sets parts apart.
        ("h2gKq+vp", 41),
        ("8204-9173-65!", 85),
        ("8204-9173-65", 33),
    ] {
        assert_eq!(bits(text), expected, "{text}");
    }
}

#[test]
fn a_long_key_is_judged_in_no_time() {
    let start = std::time::Instant::now();
    bits(&"x9Kq".repeat(1 << 20));
    bits(&" ".repeat(4 << 20));
    assert!(start.elapsed() < std::time::Duration::from_secs(10));
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// As `openssl rand -base64 32` prints 32 bytes, without the sign at the end.
fn base64(bytes: [u8; 32]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(*group.get(at).unwrap_or(&0)));
        for at in 0..=group.len() {
            text.push(char::from(BASE64[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn random_keys_are_made_as_openssl_makes_them() {
    let bytes = std::array::from_fn(|at| at as u8);
    assert_eq!(base64(bytes), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
}

#[test]
fn thirty_two_random_bytes_always_pass() {
    #[track_caller]
    fn pass(key: &str) {
        assert!(check(&Secret::new(key), "key").is_ok(), "{key} is worth {}", bits(key));
    }
    for round in 0..10_000 {
        let bytes: [u8; 32] = rand::random();
        // `openssl rand -base64 32`, its `=` left out, and as it is written in urls.
        let text = base64(bytes);
        match round % 3 {
            0 => pass(&format!("{text}=")),
            1 => pass(&text.replace('+', "-").replace('/', "_")),
            _ => pass(&text),
        }
        // `head -c 32 | xxd -p`, and in capitals.
        let mut hex = hex(&bytes);
        if round % 2 == 0 {
            pass(&hex)
        } else {
            pass(&hex.to_uppercase())
        }
        // Two UUIDs without their dashes; 32 printable characters.
        hex.replace_range(12..13, "4");
        hex.replace_range(44..45, "4");
        let printable = bytes.map(|byte| char::from(33 + byte % 94));
        if round % 2 == 0 { pass(&hex) } else { pass(&printable.iter().collect::<String>()) }
    }
}

proptest! {
    #[test]
    fn any_text_is_judged(text in "\\PC{0,80}", raw in any::<Vec<u8>>()) {
        bits(&String::from_utf8_lossy(&raw));
        prop_assert!(bits(&text) <= 80 * 7);
    }
}

#[test]
fn digests_of_common_words_are_known_in_every_spelling() {
    for digest in [
        // printf password | sha256sum, as it is printed
        "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8  -",
        // echo password | sha256sum
        "6b3a55e0261b0304143f805a24924d0c1c44524821305f31d9277843b8a10f4e",
        "6b3a55e0261b0304143f805a24924d0c1c44524821305f31d9277843b8a10f4e  -",
        // printf password | openssl dgst -sha256 -binary | base64
        "XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg=",
        // echo password | sha512sum
        "9151440965cf9c5e07f81eee6241c042a7b78e9bb2dd4f928a8f6da5e369cdffdd2b70c70663ee30d02115731d35f1ece5aad9b362aaa9850efa99e3d197212a",
    ] {
        weak(digest);
    }
}
