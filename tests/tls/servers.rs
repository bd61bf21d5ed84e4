//! Servers of the three stores that speak TLS with a certificate of our own, and die with the test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server, and the port on which it speaks TLS.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn start(command: &mut Command, port: u16) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut server = Self { child, port };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none(), "{command:?} ended: {ended:?}");
            assert!(started.elapsed() < Duration::from_secs(60), "{command:?} does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn done(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {told}");
}

/// Makes `ca.pem` and `other.pem`, two authorities, and `server.pem` with `server.key`, which the
/// first of them signed for 127.0.0.1.
pub fn certificates(folder: &Path) {
    let openssl = |arguments: &str| {
        done(Command::new("openssl").args(arguments.split(' ')).current_dir(folder));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for name in ["ca", "other"] {
        openssl(&format!(
            "req -x509 {key} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
        ));
    }
    fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    openssl(&format!("req {key} -subj /CN=server -keyout server.key -out server.csr"));
    let sign = "x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial";
    openssl(&format!("{sign} -extfile names -out server.pem"));
    let both = ["server.pem", "server.key"].map(|name| fs::read_to_string(folder.join(name)));
    fs::write(folder.join("both.pem"), both.map(Result::unwrap).concat()).unwrap();
}

pub fn redis(folder: &Path) -> Server {
    let port = free_port();
    let mut command = Command::new("redis-server");
    command
        .args(["--port", "0", "--bind", "127.0.0.1", "--save", "", "--tls-auth-clients", "no"])
        .args(["--tls-port", &port.to_string(), "--tls-cert-file", "server.pem"])
        .args(["--tls-key-file", "server.key", "--tls-ca-cert-file", "ca.pem"])
        .current_dir(folder);
    Server::start(&mut command, port)
}

pub fn mongodb(folder: &Path) -> Server {
    let port = free_port();
    let data = folder.join("mongodb");
    fs::create_dir(&data).unwrap();
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sandbox/bin/mongod");
    let mut command = Command::new(on_path("mongod").unwrap_or(installed));
    command
        .args(["--port", &port.to_string(), "--bind_ip", "127.0.0.1", "--nounixsocket"])
        .args(["--wiredTigerCacheSizeGB", "0.25", "--tlsMode", "requireTLS"])
        .args(["--tlsCertificateKeyFile", "both.pem", "--tlsCAFile", "ca.pem"])
        .args(["--tlsAllowConnectionsWithoutCertificates", "--dbpath"])
        .arg(data)
        .current_dir(folder);
    Server::start(&mut command, port)
}

/// PostgreSQL does not run as root: it gets a user of its own then.
pub fn postgres(folder: &Path) -> Server {
    let port = free_port();
    let data = folder.join("postgres");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let user = (id(&["-u"]) == Some(0)).then(|| {
        let name =
            ["postgres", "pfdata-sandbox"].into_iter().find(|name| id(&["-u", name]).is_some());
        let name =
            name.expect("root runs scripts/sandbox first, which makes a user for PostgreSQL");
        (id(&["-u", name]).unwrap(), id(&["-g", name]).unwrap())
    });
    let owned = |path: &Path| {
        if let Some((user, group)) = user {
            chown(path, Some(user), Some(group)).unwrap();
        }
    };
    owned(&data);
    let command = |program: &str| {
        let mut command = Command::new(on_path(program).expect("PostgreSQL must be on PATH"));
        if let Some((user, group)) = user {
            command.uid(user).gid(group);
        }
        command.arg("-D").arg(&data).current_dir(&data);
        command
    };
    done(command("initdb").args(["--username=postgres", "--auth=trust", "--no-sync"]));
    for name in ["server.pem", "server.key"] {
        let to = data.join(name);
        fs::copy(folder.join(name), &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
        owned(&to);
    }
    fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n").unwrap();
    let mut server = command("postgres");
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "ssl=on",
        "ssl_cert_file=server.pem",
        "ssl_key_file=server.key",
        "fsync=off",
    ] {
        server.args(["-c", setting]);
    }
    Server::start(server.args(["-p", &port.to_string()]), port)
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().ok()
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
