//! A node for `etcdctl`: `cargo run --release -p mayfly-mesh --example serve -- FOLDER [ADDRESS]`, then `etcdctl put a 1`.

use mayfly_mesh::{Clients, Single, Store, modules, serve};
use std::error::Error;
use std::path::Path;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:2379".into()).parse()?;
    let engine = Single::start(Store::open(Path::new(&folder), modules())?)?;
    let clients = Clients { address, ..Clients::loopback(0) }.bind().await?;
    println!("serving clients on {}", clients.address());
    serve(engine, clients, std::future::pending()).await?;
    Ok(())
}
