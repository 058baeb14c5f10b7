//! One process accepts connections and hands the sockets to others, which answer HTTP on them.

#![allow(clippy::print_stdout)] // What it shows, it prints.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpStream as Socket};
use std::os::fd::OwnedFd;

use futures_util::future::try_join_all;
use procession::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A connection that was accepted.
#[derive(Message, Serialize, Deserialize)]
#[rtype(result = "()")]
struct Serve(Descriptor);

#[derive(ProcActor)]
#[proc_actor(messages(Serve))]
struct Server {
    name: String,
}

impl Actor for Server {
    type Context = Context<Self>;
}

impl Spawn for Server {
    type Args = ();
    fn spawn((): (), birth: &Birth) -> Result<Self, SpawnError> {
        Ok(Server { name: birth.process.to_string() })
    }
}

impl Handler<Serve> for Server {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Serve(socket): Serve, _: &mut Context<Self>) -> ResponseFuture<()> {
        let name = self.name.clone();
        Box::pin(async move {
            if let Err(error) = answer(socket.into(), &name).await {
                tracing::warn!("a connection broke: {error}");
            }
        })
    }
}

/// A request head that is longer is refused.
const HEAD_BYTES: usize = 8 << 10;

/// Answers requests without bodies, one after the other, until the client closes.
async fn answer(socket: OwnedFd, name: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::from_std(Socket::from(socket))?;
    let mut read = Vec::new();
    loop {
        let (status, text, used) = {
            let mut headers = [httparse::EMPTY_HEADER; 32];
            let mut request = httparse::Request::new(&mut headers);
            match request.parse(&read) {
                Ok(httparse::Status::Complete(used)) if request.method == Some("GET") => {
                    ("200 OK", format!("{name}: you asked for {}\n", request.path.unwrap_or("/")), used)
                }
                Ok(httparse::Status::Complete(used)) => ("405 Method Not Allowed", String::new(), used),
                Ok(httparse::Status::Partial) if read.len() < HEAD_BYTES => ("", String::new(), 0),
                Ok(httparse::Status::Partial) | Err(_) => ("400 Bad Request", String::new(), read.len()),
            }
        };
        if status.is_empty() {
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
            continue;
        }
        read.drain(..used);
        let length = text.len();
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all((head + &text).as_bytes()).await?;
        if status.starts_with("400") {
            return Ok(());
        }
    }
}

/// Sends a request, and returns the status and the body of the answer.
async fn ask(stream: &mut TcpStream, line: &str) -> std::io::Result<(u16, String)> {
    stream.write_all(format!("{line} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await?;
    let mut read = Vec::new();
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(head)) = response.parse(&read) else { continue };
        let length = response.headers.iter().find(|header| header.name == "content-length");
        let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
        if read.len() >= head + length.unwrap_or(0) {
            let body = String::from_utf8_lossy(&read[head..]).into_owned();
            return Ok((response.code.unwrap_or(0), body));
        }
    }
}

fn main() -> procession::Result<()> {
    Program::new().actor::<Server>().run(async |root| {
        let workers = ["one", "two", "three", "four"];
        let process = |topology: Topology, name: &str| {
            topology.process(Process::new(name).actor::<Server>(format!("server-{name}"), ()))
        };
        let running = root.deploy(workers.into_iter().fold(Topology::new("http"), process)).await?;
        let servers = workers.map(|name| ProcAddr::<Server>::named(&format!("server-{name}")));

        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(procession::Error::other)?;
        let address = listener.local_addr().map_err(procession::Error::other)?;
        let accepting = actix::spawn(async move {
            for server in servers.iter().cycle() {
                let Ok((stream, _)) = listener.accept().await else { return };
                // Sent, it is closed here; a worker that is full makes the next connections wait.
                let Ok(socket) = stream.into_std() else { continue };
                let _ = server.tell(Serve(Descriptor(socket.into()))).await;
            }
        });

        let client = async |at: usize| {
            let mut stream = TcpStream::connect(address).await?;
            let first = ask(&mut stream, &format!("GET /{at}")).await?;
            let second = ask(&mut stream, "POST /").await?;
            std::io::Result::Ok((first, second.0))
        };
        let answers = try_join_all((0..40).map(client)).await.map_err(procession::Error::other)?;
        accepting.abort();
        let mut by_worker = BTreeMap::new();
        for (at, ((status, text), second)) in answers.into_iter().enumerate() {
            let (worker, asked) = text.trim_end().split_once(": ").unwrap_or_default();
            assert_eq!((status, asked, second), (200, format!("you asked for /{at}").as_str(), 405));
            *by_worker.entry(worker.to_owned()).or_insert(0) += 1;
        }
        println!("requests answered over 40 connections, by process: {by_worker:?}");
        running.shutdown().await
    })
}
