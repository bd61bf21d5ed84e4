//! Sessions that see a moment.

use mongodb::bson::Timestamp;
use mongodb::{Client, ClientSession};

/// What a read sees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Moment {
    /// The data as of one cluster time.
    At(Timestamp),
    /// What a majority has, batch by batch.
    Majority,
    /// What the primary has, batch by batch.
    Primary,
}

/// A session that sees `moment`. The snapshot read concern comes from the session alone: one on
/// the client or the command would replace it.
pub(super) async fn session(
    client: &Client,
    moment: Moment,
) -> mongodb::error::Result<ClientSession> {
    match moment {
        Moment::At(time) => client.start_session().snapshot(true).snapshot_time(time).await,
        Moment::Majority | Moment::Primary => {
            client.start_session().causal_consistency(false).await
        }
    }
}
