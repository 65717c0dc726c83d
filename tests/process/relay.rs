//! A relay between an agent and its server that keeps what the agent sent and passes on what it is told to.

use heartbeat::os::thread;
use heartbeat::time::Duration;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

type Pass = Box<dyn Fn(&[u8]) -> bool + Send>;

struct Shared {
    recorded: Mutex<Vec<Vec<u8>>>,
    pass: Mutex<Pass>,
    to_server: Mutex<Pass>,
    stop: AtomicBool,
}

pub struct Relay {
    /// Where the agent sends to.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Relay {
        let inside = UdpSocket::bind("127.0.0.1:0").unwrap();
        let outside = UdpSocket::bind("127.0.0.1:0").unwrap();
        outside.connect(server).unwrap();
        for socket in [&inside, &outside] {
            socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        }
        let address = inside.local_addr().unwrap();
        let all = || Mutex::new(Box::new(|_: &[u8]| true) as Pass);
        let (recorded, pass, to_server) = (Mutex::default(), all(), all());
        let stop = AtomicBool::new(false);
        let shared = Arc::new(Shared { recorded, pass, to_server, stop });
        let own = Arc::clone(&shared);
        let body = move || {
            let (mut buffer, mut agent) = ([0; 2048], None);
            while !own.stop.load(Ordering::Relaxed) {
                if let Ok((len, from)) = inside.recv_from(&mut buffer) {
                    agent = Some(from);
                    own.recorded.lock().unwrap().push(buffer[..len].to_vec());
                    if (own.to_server.lock().unwrap())(&buffer[..len]) {
                        let _ = outside.send(&buffer[..len]);
                    }
                }
                if let (Ok(len), Some(agent)) = (outside.recv(&mut buffer), agent)
                    && (own.pass.lock().unwrap())(&buffer[..len])
                {
                    let _ = inside.send_to(&buffer[..len], agent);
                }
            }
        };
        thread::spawn("relay", 128 << 10, body).unwrap();
        Relay { address, shared }
    }

    /// All that the agent sent so far.
    pub fn recorded(&self) -> Vec<Vec<u8>> {
        self.shared.recorded.lock().unwrap().clone()
    }

    /// From now on only these datagrams of the server's reach the agent.
    pub fn pass_to_agent(&self, pass: impl Fn(&[u8]) -> bool + Send + 'static) {
        *self.shared.pass.lock().unwrap() = Box::new(pass);
    }

    /// From now on only these datagrams of the agent's reach the server.
    pub fn pass_to_server(&self, pass: impl Fn(&[u8]) -> bool + Send + 'static) {
        *self.shared.to_server.lock().unwrap() = Box::new(pass);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}
