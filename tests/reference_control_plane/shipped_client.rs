//! The agent's own client against the reference control plane.

use std::{fs, sync::Arc, time::Duration};

use ephemerald::{
    clock,
    control::{
        client::{Client, Speaker},
        enroll::{self, About},
        token::AgentToken,
        wire::{AcquireRequest, HeartbeatRequest, JOB_TYP, JobState, MAX_JOB_BYTES, Report},
    },
    http::{Door, DoorOptions},
    sandbox::control_plane::{Faults, RequestState},
    secrets::AtRest,
};
use zeroize::Zeroizing;

use crate::bench::{Plane, approved, result};

fn door(plane: &Plane) -> Arc<Door> {
    let options = DoorOptions {
        origin: plane.running.url.clone(),
        extra_ca_pem: Some(fs::read(plane.running.ca_file.as_ref().unwrap()).unwrap()),
        only_extra_ca: true,
        proxy: None,
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(60),
        total_timeout: Duration::from_secs(70),
        max_body: 8 << 20,
        user_agent: "test".to_owned(),
    };
    Arc::new(Door::new(options).unwrap())
}

#[tokio::test]
async fn the_shipped_client_enrols_acquires_and_reports_with_a_nonce_in_every_proof() {
    let (data, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plane = Plane::start(data.path()).await;
    let operator = plane.operator();
    operator.faults(&Faults { require_nonce: true, ..Faults::default() }).await.unwrap();
    let token = AgentToken::parse(&operator.token().await.unwrap()).unwrap();

    let speaker = Speaker { instance: "test".to_owned(), epoch: 1 };
    let key = enroll::prepare(state.path(), &Zeroizing::new([9; 32]), &AtRest::Plain).unwrap();
    let stranger = Client::unenrolled(door(&plane), key.clone(), speaker.clone(), clock::now);
    let now = clock::now().wall;
    let identity =
        enroll::enroll(&stranger, &key, &token, About::default(), (state.path(), &AtRest::Plain), now)
            .await
            .unwrap();
    let keys = identity.keys().unwrap();
    let client = Client::new(door(&plane), key, &identity.agent_id, speaker, clock::now);

    let wait = AcquireRequest { capacity: 1, wait_s: 55, ..AcquireRequest::default() };
    let (acquired, number) = tokio::join!(client.acquire(&wait), approved(&operator));
    let job = acquired.unwrap().jobs.remove(0);
    ephemerald::control::jws::verify(&job.jws, JOB_TYP, MAX_JOB_BYTES, |kid| keys.find(kid)).unwrap();
    let beat = client
        .heartbeat(&job.job_id, &HeartbeatRequest { state: JobState::Running, revoke_only: false })
        .await;
    assert!(!beat.unwrap().cancelled);

    let report = result(1, job.job_id.as_str(), "g", "granted");
    let report: Report = serde_json::from_value(report).unwrap();
    assert_eq!(client.report(&[report]).await.unwrap().acked, [1]);
    assert_eq!(operator.show(&number).await.unwrap().state, RequestState::Granted);
}
