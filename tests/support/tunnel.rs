//! A proxy for clients (`CONNECT`, RFC 9110, section 9.3.6) that leads every host to one place: programs that look up names
//! themselves meet the hosts of the tests under their own names and ports.

use std::{
    io::{BufRead, BufReader, Write, copy},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

/// Listens until the test ends. Returns the address, as programs take it.
pub fn to(target: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || lead(stream, target));
        }
    });
    format!("http://{address}")
}

fn lead(client: TcpStream, target: SocketAddr) -> Option<()> {
    let mut asked = BufReader::new(client.try_clone().ok()?);
    let mut line = String::new();
    while asked.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    let server = TcpStream::connect(target).ok()?;
    (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut answers, mut answered) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let back = thread::spawn(move || {
        let _ = copy(&mut answers, &mut answered);
        let _ = answered.shutdown(Shutdown::Write);
    });
    let _ = copy(&mut asked, &mut &server);
    let _ = server.shutdown(Shutdown::Write);
    back.join().ok()
}
