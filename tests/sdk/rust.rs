// rust.rs - what a Rust program does on Linux: eight threads that compute and send, children with pipes, files, a connection, time.
// One line for each; the argument says how long the threads compute.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{mpsc, Arc, Mutex};
use std::{env, fs, thread, time};

fn compute(seed: u64, rounds: u64) -> u64 {
    (0..rounds).fold(seed, |h, k| (h ^ (h >> 29)).wrapping_mul(0xbf58476d1ce4e5b9).wrapping_add(k))
}

fn threads(rounds: u64) -> u64 {
    let (to, from) = mpsc::channel();
    let count = Arc::new(Mutex::new(0u64));
    let all: Vec<_> = (0..8)
        .map(|n| {
            let (to, count) = (to.clone(), count.clone());
            thread::spawn(move || {
                for round in 0..rounds {
                    to.send(compute(n * 1000 + round, 20000)).unwrap();
                    *count.lock().unwrap() += 1;
                }
            })
        })
        .collect();
    drop(to);
    let sum = from.iter().fold(0u64, |a, b| a.wrapping_add(b));
    all.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(*count.lock().unwrap(), 8 * rounds);
    sum
}

fn children() -> std::io::Result<String> {
    let mut child = Command::new("sh").args(["-c", "read a; echo $a $X; exit 3"]).env("X", "y").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().unwrap().write_all(b"given\n")?;
    let out = child.wait_with_output()?;
    Ok(format!("{:?} {:?}", String::from_utf8_lossy(&out.stdout), out.status.code()))
}

fn files() -> std::io::Result<String> {
    let folder = env::temp_dir().join("rust");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("a"), "one\ntwo\n")?;
    let lines: Vec<_> = BufReader::new(fs::File::open(folder.join("a"))?).lines().collect::<Result<_, _>>()?;
    let size = fs::metadata(folder.join("a"))?.len();
    let missing = fs::File::open(folder.join("b")).unwrap_err().kind();
    fs::remove_dir_all(&folder)?;
    Ok(format!("{lines:?} {size} {missing:?}"))
}

fn connection() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let client = thread::spawn(move || TcpStream::connect(address)?.write_all(b"through a socket"));
    let mut text = String::new();
    listener.accept()?.0.read_to_string(&mut text)?;
    client.join().unwrap()?;
    Ok(text)
}

fn main() -> std::io::Result<()> {
    let rounds = env::args().nth(1).map_or(10, |a| a.parse().unwrap());
    println!("{}\n{}\n{}", children()?, files()?, connection()?);
    let began = time::Instant::now();
    thread::sleep(time::Duration::from_millis(20));
    println!("{} {:?}", began.elapsed() >= time::Duration::from_millis(20), "7x".parse::<i32>());
    println!("{}", threads(rounds));
    std::process::exit(5)
}
