//! The servers that the other tests rely on.

use authkit_redis::testkit::RedisCluster;

#[tokio::test]
async fn a_cluster_of_three_starts_and_survives_the_loss_of_a_node() {
    let mut cluster = RedisCluster::start().await;
    let owner = |connection: redis::aio::MultiplexedConnection| async move {
        let mut connection = connection;
        redis::cmd("SET").arg("foo").arg(1).exec_async(&mut connection).await
    };
    // "foo" lives in slot 12182, on the third node.
    owner(cluster.nodes()[2].connect().await.unwrap()).await.unwrap();
    let moved = owner(cluster.nodes()[0].connect().await.unwrap()).await.unwrap_err();
    assert_eq!(moved.code(), Some("MOVED"));

    cluster.node_mut(2).kill();
    cluster.node_mut(2).start_again().await;
    cluster.works().await;
    owner(cluster.nodes()[2].connect().await.unwrap()).await.unwrap();
}
