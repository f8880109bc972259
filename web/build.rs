//! The page's files are embedded: other files mean another library. It neither builds nor fetches any.

fn main() {
    println!("cargo:rerun-if-changed=ui/dist");
}
