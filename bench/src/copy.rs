//! Rows by COPY in text form, sent in chunks. Values must need no escaping: numbers, dates, names
//! without tabs. Called by whoever seeds.

use sqlx::PgConnection;
use sqlx::postgres::PgCopyIn;

/// Bytes sent at once.
const CHUNK: usize = 256 * 1024;

/// A COPY under way.
pub struct Copy<'a> {
    sink: PgCopyIn<&'a mut PgConnection>,
    chunk: String,
}

impl<'a> Copy<'a> {
    /// Into a table with its columns.
    pub async fn begin(conn: &'a mut PgConnection, into: &str) -> anyhow::Result<Self> {
        let sink = conn.copy_in_raw(&format!("copy {into} from stdin")).await?;
        Ok(Self {
            sink,
            chunk: String::with_capacity(CHUNK * 2),
        })
    }

    /// One row.
    pub async fn row(&mut self, values: &[String]) -> anyhow::Result<()> {
        for (place, value) in values.iter().enumerate() {
            if place > 0 {
                self.chunk.push('\t');
            }
            self.chunk.push_str(value);
        }
        self.chunk.push('\n');
        if self.chunk.len() >= CHUNK {
            self.sink.send(self.chunk.as_bytes()).await?;
            self.chunk.clear();
        }
        Ok(())
    }

    /// Ends it; returns the rows.
    pub async fn end(mut self) -> anyhow::Result<u64> {
        self.sink.send(self.chunk.as_bytes()).await?;
        Ok(self.sink.finish().await?)
    }
}
