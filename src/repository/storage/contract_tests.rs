//! What every storage promises, asked of each kind by the same checks.

use std::io::{Read, Write};
use std::thread;

use super::*;
use faulty::Fault;

/// Runs `check` over an empty storage of every kind.
fn with_every_storage(check: impl Fn(&str, &Storage)) {
    let folder = tempfile::tempdir().unwrap();
    check("local", &Storage::local(folder.path()));
    check("memory", &Storage::Memory(Memory::default()));
    let faultless = Faulty::new(Memory::default());
    check("faulty, without a fault", &Storage::Faulty(faultless));
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn all(storage: &Storage, under: &Name) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = storage.list(under, after.as_ref()).unwrap();
        after = page.entries.last().map(|entry| entry.name.clone());
        found.extend(page.entries.into_iter().map(|entry| entry.name.to_string()));
        if !page.more {
            return found;
        }
    }
}

#[test]
fn an_object_is_created_once_and_read_as_it_was_written() {
    with_every_storage(|kind, storage| {
        let object = name("a/b/c.json");
        assert_eq!(storage.read(&object).unwrap(), None, "{kind}");
        assert_eq!(storage.size(&object).unwrap(), None, "{kind}");
        assert_eq!(storage.create(&object, b"one").unwrap(), Created::New, "{kind}");
        assert_eq!(storage.create(&object, b"second").unwrap(), Created::Exists, "{kind}");
        assert!(storage.create_new(&object, b"third").is_err(), "{kind}");
        assert_eq!(storage.read(&object).unwrap().unwrap(), b"one", "{kind}");
        assert_eq!(storage.size(&object).unwrap(), Some(3), "{kind}");
        storage.create_new(&name("a/empty"), b"").unwrap();
        assert_eq!(storage.read(&name("a/empty")).unwrap().unwrap(), b"", "{kind}");
    });
}

#[test]
fn of_many_who_create_at_once_one_does() {
    with_every_storage(|kind, storage| {
        for round in 0..20 {
            let object = name(&format!("race/{round}"));
            let created: Vec<_> = thread::scope(|scope| {
                let racers: Vec<_> = (0..8_u8)
                    .map(|racer| {
                        let object = &object;
                        scope.spawn(move || (racer, storage.create(object, &[racer]).unwrap()))
                    })
                    .collect();
                racers.into_iter().map(|racer| racer.join().unwrap()).collect()
            });
            let won: Vec<_> = created.iter().filter(|(_, did)| *did == Created::New).collect();
            assert_eq!(won.len(), 1, "{kind}: {created:?}");
            assert_eq!(storage.read(&object).unwrap().unwrap(), [won[0].0], "{kind}");
        }
    });
}

#[test]
fn only_what_was_seen_is_replaced() {
    with_every_storage(|kind, storage| {
        let lease = name("leases/development.json");
        assert!(storage.versioned(&lease).unwrap().is_none(), "{kind}");
        assert_eq!(storage.replace(&lease, None, b"1").unwrap(), Replaced::Done, "{kind}");
        assert_eq!(storage.replace(&lease, None, b"x").unwrap(), Replaced::Changed, "{kind}");
        let (bytes, seen) = storage.versioned(&lease).unwrap().unwrap();
        assert_eq!(bytes, b"1", "{kind}");
        assert_eq!(storage.replace(&lease, Some(&seen), b"2").unwrap(), Replaced::Done, "{kind}");
        assert_eq!(
            storage.replace(&lease, Some(&seen), b"x").unwrap(),
            Replaced::Changed,
            "{kind}"
        );
        assert_eq!(storage.read(&lease).unwrap().unwrap(), b"2", "{kind}");
        storage.remove(&lease).unwrap();
        assert_eq!(
            storage.replace(&lease, Some(&seen), b"x").unwrap(),
            Replaced::Changed,
            "{kind}"
        );
    });
}

/// Threads that add one to a number, each again until nobody came between.
#[test]
fn no_replacement_is_lost() {
    const THREADS: u32 = 4;
    const EACH: u32 = 25;
    with_every_storage(|kind, storage| {
        let counter = name("leases/counter.json");
        let add = || {
            loop {
                let seen = storage.versioned(&counter).unwrap();
                let (bytes, seen) = match &seen {
                    Some((bytes, seen)) => (bytes.as_slice(), Some(seen)),
                    None => (b"0".as_slice(), None),
                };
                let next = str::from_utf8(bytes).unwrap().parse::<u32>().unwrap() + 1;
                let next = next.to_string();
                if storage.replace(&counter, seen, next.as_bytes()).unwrap() == Replaced::Done {
                    return;
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| (0..EACH).for_each(|_| add()));
            }
        });
        let counted = storage.read(&counter).unwrap().unwrap();
        assert_eq!(counted, (THREADS * EACH).to_string().into_bytes(), "{kind}");
    });
}

#[test]
fn listings_are_sorted_and_whole() {
    with_every_storage(|kind, storage| {
        assert_eq!(storage.level(&name("none")).unwrap(), Level::default(), "{kind}");
        assert_eq!(all(storage, &name("none")), [""; 0], "{kind}");
        for object in ["a/c/2", "a/c/1", "a/b", "a-b/1", "a/c.x", "ab/1", "z"] {
            storage.create_new(&name(object), b"12").unwrap();
        }
        let listed = all(storage, &Name::root());
        assert_eq!(listed, ["a-b/1", "a/b", "a/c.x", "a/c/1", "a/c/2", "ab/1", "z"], "{kind}");
        assert_eq!(all(storage, &name("a")), ["a/b", "a/c.x", "a/c/1", "a/c/2"], "{kind}");
        let Level { folders, objects } = storage.level(&Name::root()).unwrap();
        assert_eq!((folders.join(" "), objects.join(" ")), ("a a-b ab".into(), "z".into()));
        let Level { folders, objects } = storage.level(&name("a")).unwrap();
        assert_eq!((folders.join(" "), objects.join(" ")), ("c".into(), "b c.x".into()), "{kind}");
        assert_eq!(storage.size(&name("a/c")).unwrap(), None, "{kind}: no object");
    });
}

#[test]
fn a_long_listing_comes_in_pages() {
    with_every_storage(|kind, storage| {
        if kind == "local" {
            return; // the same code cuts its pages, and every file is synced
        }
        for number in 0..PAGE_OBJECTS + 1 {
            storage.create_new(&name(&format!("many/{number:05}")), b"").unwrap();
        }
        let first = storage.list(&name("many"), None).unwrap();
        assert!(first.more && first.entries.len() == PAGE_OBJECTS, "{kind}");
        let listed = all(storage, &name("many"));
        assert!(listed.len() == PAGE_OBJECTS + 1 && listed.is_sorted(), "{kind}");
    });
}

#[test]
fn what_is_gone_can_be_removed_again() {
    with_every_storage(|kind, storage| {
        storage.remove(&name("none/at/all")).unwrap();
        storage.remove_all(&name("none")).unwrap();
        for object in ["a/b/1", "a/b/2", "a/bc", "a/c"] {
            storage.create_new(&name(object), b"x").unwrap();
        }
        storage.remove(&name("a/c")).unwrap();
        storage.remove(&name("a/c")).unwrap();
        storage.remove_all(&name("a/b")).unwrap();
        assert_eq!(all(storage, &Name::root()), ["a/bc"], "{kind}");
        assert!(storage.remove_all(&Name::root()).is_err(), "{kind}: never everything");
        assert_eq!(all(storage, &Name::root()), ["a/bc"], "{kind}");
        storage.create_new(&name("a/b/1"), b"again").unwrap();
    });
}

#[test]
fn what_is_written_in_pieces_is_there_once_it_is_finished() {
    with_every_storage(|kind, storage| {
        let part = name("set/id/data.1");
        let mut writer = storage.writer(&part).unwrap();
        for _ in 0..3 {
            writer.write_all(&[7; 1000]).unwrap();
        }
        assert_eq!(storage.size(&part).unwrap(), None, "{kind}: not before it is finished");
        assert_eq!(all(storage, &name("set")), [""; 0], "{kind}");
        writer.finish().unwrap();
        let mut read = Vec::new();
        storage.reader(&part).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, [7; 3000], "{kind}");
        let mut second = storage.writer(&part).unwrap();
        second.write_all(b"other").unwrap();
        assert!(second.finish().is_err(), "{kind}: never overwritten");
        assert_eq!(storage.size(&part).unwrap(), Some(3000), "{kind}");
        let missing = storage.reader(&name("none")).err().unwrap();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound, "{kind}");
    });
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    with_every_storage(|kind, storage| {
        let mut writer = storage.writer(&name("set/id/part")).unwrap();
        writer.write_all(b"half").unwrap();
        drop(writer);
        assert_eq!(all(storage, &Name::root()), [""; 0], "{kind}");
        if let Storage::Local(_) = storage {
            let folder = storage.describe(&name("set/id"));
            assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "no temporary file either");
        }
    });
}

#[test]
fn what_is_read_whole_has_a_limit() {
    with_every_storage(|kind, storage| {
        let object = name("manifest.json");
        storage.create_new(&object, b"12345").unwrap();
        assert_eq!(storage.backend().read(&object, 5).unwrap().unwrap(), b"12345", "{kind}");
        assert!(storage.backend().read(&object, 4).is_err(), "{kind}");
        assert!(storage.backend().versioned(&object, 4).is_err(), "{kind}");
    });
}

#[test]
fn a_lock_on_a_host_is_held_by_one_or_shared() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::local(folder.path());
    let lock = |sharing| storage.host_lock(&name("leases/development.lock"), sharing).unwrap();
    let taken = |lock: &HostLock| matches!(lock, HostLock::Taken);
    let one = lock(Sharing::Shared);
    let two = lock(Sharing::Shared);
    assert!(!taken(&one) && !taken(&two) && taken(&lock(Sharing::Exclusive)));
    drop((one, two));
    let alone = lock(Sharing::Exclusive);
    assert!(!taken(&alone) && taken(&lock(Sharing::Shared)));
}

#[test]
fn a_fault_comes_when_it_was_planned_and_as_it_was() {
    let object = name("a");
    for (fault, there) in
        [(Fault::Fail, false), (Fault::Tear, false), (Fault::LoseAcknowledgement, true)]
    {
        let memory = Memory::default();
        let storage = Storage::Faulty(Faulty::new(memory.clone()).plan(2, fault));
        let inner = Storage::Memory(memory);
        assert_eq!(storage.read(&object).unwrap(), None);
        assert!(storage.create(&object, b"x").is_err());
        assert_eq!(inner.read(&object).unwrap().is_some(), there, "{fault:?}");
        storage.create(&object, b"x").unwrap();
    }
    let memory = Memory::default();
    let faulty = Faulty::new(memory.clone()).plan(2, Fault::Die);
    let inner = Storage::Memory(memory);
    let storage = Storage::Faulty(faulty.clone());
    storage.create(&object, b"x").unwrap();
    assert!(storage.remove(&object).is_err() && storage.read(&object).is_err());
    assert!(storage.create(&name("b"), b"x").is_err() && inner.read(&object).unwrap().is_some());
    assert_eq!(faulty.operations(), 2);
}
