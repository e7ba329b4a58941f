//! Compares our requests with those of the vendors' own SDKs, which send the same message to a server that records it.

use std::process::Command;

use serde_json::{Value, json};

use crate::server::{Request, Server};
use crate::support::{TO, TO_DIGITS, message, open, soon, text};
use crate::tools::tool;

const FROM: &str = "+15005550001";

/// A vendor's SDK, and how it sends the message that we send.
struct Sdk {
    kind: &'static str,
    settings: &'static [(&'static str, &'static str)],
    /// The part of the path that belongs to our base.
    base_path: &'static str,
    /// Python that sends `text` to `to` (or `digits`) through the interface at `base`.
    send: &'static str,
    /// Python that makes the request with which we try the keys; empty if the SDK has none that is the same.
    check: &'static str,
    /// The headers in which both requests must agree.
    headers: &'static [&'static str],
    /// Entries of the SDK's request that ours has not, or has otherwise, with the reason.
    apart_from: &'static [&'static str],
}

const SDKS: &[Sdk] = &[
    Sdk {
        kind: "bird",
        settings: &[("api-key", "bk_eu1_hush"), ("from", FROM)],
        base_path: "",
        send: r#"
from bird import Bird
Bird(api_key="bk_eu1_hush", base_url=base).sms.send(to=to, from_="+15005550001", text=text, category="authentication")
"#,
        check: r#"
from bird import Bird
Bird(api_key="bk_eu1_hush", base_url=base).workspace.get()
"#,
        headers: &["authorization"],
        apart_from: &[],
    },
    Sdk {
        kind: "brevo",
        settings: &[("api-key", "xkeysib-hush"), ("from", "Acme")],
        base_path: "",
        send: r#"
from brevo import Brevo
Brevo(api_key="xkeysib-hush", base_url=base).transactional_sms.send_async_transactional_sms(
    recipient=digits, sender="Acme", content=text, type="transactional", unicode_enabled=False)
"#,
        check: r#"
from brevo import Brevo
Brevo(api_key="xkeysib-hush", base_url=base).account.get_account()
"#,
        headers: &["api-key"],
        apart_from: &[],
    },
    Sdk {
        kind: "d7",
        settings: &[("token", "hush"), ("from", "Acme")],
        base_path: "",
        send: r#"
from direct7 import Client
client = Client(api_token="hush")
client.host(base)
client.sms.send_messages({"recipients": [to], "content": text}, originator="Acme")
"#,
        check: "",
        headers: &["authorization"],
        // The SDK sends every text that is not empty as Unicode.
        apart_from: &["/messages/0/data_coding"],
    },
    Sdk {
        kind: "telesign",
        settings: &[("customer-id", "C1"), ("api-key", "hush=="), ("from", FROM)],
        base_path: "",
        send: r#"
from telesign.messaging import MessagingClient
MessagingClient("C1", "hush==", rest_endpoint=base, auth_method="Basic").message(
    digits, text, "OTP", sender_id="15005550001")
"#,
        check: r#"
from telesign.messaging import MessagingClient
MessagingClient("C1", "hush==", rest_endpoint=base, auth_method="Basic").status("0" * 32)
"#,
        headers: &["authorization", "content-type"],
        apart_from: &[],
    },
    Sdk {
        kind: "bandwidth",
        settings: &[
            ("account-id", "9900000"),
            ("username", "ann"),
            ("password", "hush"),
            ("application-id", "93de2206"),
            ("from", FROM),
        ],
        base_path: "",
        send: r#"
import bandwidth
client = bandwidth.ApiClient(bandwidth.Configuration(username="ann", password="hush"))
serialize = client.param_serialize
client.param_serialize = lambda **request: serialize(**{**request, "_host": base})
bandwidth.MessagesApi(client).create_message("9900000", bandwidth.MessageRequest(
    application_id="93de2206", to=[to], var_from="+15005550001", text=text, priority="high",
    expiration="2026-09-21T14:23:20Z"))
"#,
        check: r#"
import bandwidth
client = bandwidth.ApiClient(bandwidth.Configuration(username="ann", password="hush"))
serialize = client.param_serialize
client.param_serialize = lambda **request: serialize(**{**request, "_host": base})
bandwidth.MessagesApi(client).list_messages("9900000", message_direction="OUTBOUND", limit=1)
"#,
        headers: &["authorization"],
        // The same time with +00:00.
        apart_from: &["/expiration"],
    },
    Sdk {
        kind: "signal",
        settings: &[("from", FROM)],
        base_path: "",
        send: r#"
from pysignalclirestapi import SignalCliRestApi
SignalCliRestApi(base, "+15005550001").send_message(text, [to])
"#,
        check: r#"
from pysignalclirestapi import SignalCliRestApi
SignalCliRestApi(base, "+15005550001").list_indentities()
"#,
        headers: &[],
        // False, which is its default.
        apart_from: &["/notify_self"],
    },
    Sdk {
        kind: "africastalking",
        settings: &[("username", "acme"), ("api-key", "hush"), ("from", "Acme")],
        base_path: "",
        send: r#"
import africastalking
africastalking.initialize("acme", "hush")
africastalking.SMS._baseUrl = base + "/version1"
africastalking.SMS.send(text, [to], "Acme")
"#,
        check: r#"
import africastalking
africastalking.initialize("acme", "hush")
africastalking.Application._baseUrl = base + "/version1"
africastalking.Application.fetch_application_data()
"#,
        headers: &["apikey", "content-type"],
        apart_from: &[],
    },
    Sdk {
        kind: "messagebird",
        settings: &[("access-key", "hush"), ("from", FROM)],
        base_path: "",
        send: r#"
import messagebird
from messagebird.http_client import HttpClient
client = messagebird.Client("hush", http_client=HttpClient(base, "hush", "test"))
client.message_create("15005550001", [digits], text, {"datacoding": "plain", "validity": 600})
"#,
        check: "",
        headers: &["authorization"],
        // A list, which the documents have too, as one string.
        apart_from: &["/recipients"],
    },
    Sdk {
        kind: "plivo",
        settings: &[
            ("auth-id", "MA0123456789ABCDEFGH"),
            ("auth-token", "hush"),
            ("from", FROM),
        ],
        base_path: "",
        send: r#"
import plivo.rest.client
plivo.rest.client.PLIVO_API_BASE_URI = base + "/v1/Account"
client = plivo.rest.client.Client("MA0123456789ABCDEFGH", "hush")
client.messages.create(src="+15005550001", dst=to, text=text, log="number_only", message_expiry=600)
"#,
        check: r#"
import plivo.rest.client
plivo.rest.client.PLIVO_API_BASE_URI = base + "/v1/Account"
plivo.rest.client.Client("MA0123456789ABCDEFGH", "hush").account.get()
"#,
        headers: &["authorization"],
        // Defaults: an SMS, reported with POST, without tracking.
        apart_from: &["/type", "/method", "/trackable"],
    },
    Sdk {
        kind: "sinch",
        settings: &[
            ("service-plan-id", "p1"),
            ("api-token", "hush"),
            ("from", FROM),
        ],
        base_path: "/xms/v1",
        send: r#"
import datetime
from sinch import SinchClient
client = SinchClient(service_plan_id="p1", sms_api_token="hush", sms_region="us")
client.configuration.sms_domain_with_service_plan_id = base
client.sms.batches.send_sms(to=[digits], from_="15005550001", body=text, max_number_of_message_parts=3,
    expire_at=datetime.datetime(2026, 9, 21, 14, 23, 20, tzinfo=datetime.timezone.utc))
"#,
        check: "",
        headers: &["authorization"],
        // The type of a text message, which is the default.
        apart_from: &["/type"],
    },
    Sdk {
        kind: "smsapi",
        settings: &[("token", "hush"), ("from", "Acme")],
        base_path: "",
        send: r#"
from smsapi.client import SmsApiComClient
client = SmsApiComClient(access_token="hush")
client.domain = base + "/"
client.sms.send(to=digits, message=text, from_="Acme", encoding="utf-8",
    max_parts=3, expiration_date=1790003900)
"#,
        check: "",
        headers: &["authorization", "content-type"],
        apart_from: &[],
    },
];

/// The request with this method that an SDK makes when `script` uses it.
fn request_of(sdk: &Sdk, script: &str, method: &str) -> Option<Request> {
    let python = tool("sdks/bin/python")?;
    // What a client of signal-cli-rest-api asks first. Others do not understand it, and need not.
    let server = Server::answering(200, r#"{"versions":["v1","v2"],"mode":"normal"}"#);
    let script = format!("import sys\nbase, to, digits, text = sys.argv[1:]\n{script}");
    let output = Command::new(python)
        .args([
            "-W",
            "ignore",
            "-c",
            &script,
            &server.base(),
            TO,
            TO_DIGITS,
            &text(),
        ])
        .output()
        .unwrap();
    let mut requests = server.requests().into_iter();
    let made = requests.find(|request| request.method == method && request.target != "/v1/about");
    assert!(made.is_some(), "{}: {output:?}", sdk.kind);
    made
}

/// The body of a request as JSON, without entries that are null and those at `left_out`.
fn content(request: &Request, left_out: &[&str]) -> Value {
    if !request.body.starts_with('{') {
        return json!(request.form());
    }
    let mut body: Value = serde_json::from_str(&request.body).unwrap();
    for path in left_out {
        let (parent, name) = path.rsplit_once('/').unwrap();
        if let Some(parent) = body.pointer_mut(parent) {
            parent.as_object_mut().unwrap().remove(name);
        }
    }
    without_nulls(body)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(entries) => entries
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        other => other,
    }
}

/// Checks that method, path, query and headers of our request are those of the SDK's.
fn assert_same_head(sdk: &Sdk, ours: &Request, theirs: &Request) {
    let about = format!("{}: {theirs:#?}", sdk.kind);
    let target = |request: &Request, base: &str| {
        let target = format!("{base}{}", request.target);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut query: Vec<_> = query.split('&').map(str::to_owned).collect();
        query.sort();
        (path.to_owned(), query)
    };
    assert_eq!(ours.method, theirs.method, "{about}");
    assert_eq!(target(ours, sdk.base_path), target(theirs, ""), "{about}");
    for name in sdk
        .headers
        .iter()
        .filter(|name| ours.method == "POST" || **name != "content-type")
    {
        assert_eq!(ours.header(name), theirs.header(name), "{about}");
    }
}

#[test]
fn the_vendors_own_sdks_send_the_same_requests() {
    for sdk in SDKS {
        let Some(theirs) = request_of(sdk, sdk.send, "POST") else {
            return;
        };
        let server = Server::answering(500, "{}");
        let _refused = open(sdk.kind, &server.base(), sdk.settings).send(TO, &message(), soon());
        let ours = server.only_request();
        assert_same_head(sdk, &ours, &theirs);
        assert_eq!(
            content(&ours, sdk.apart_from),
            content(&theirs, sdk.apart_from),
            "{}: {theirs:#?}",
            sdk.kind
        );
    }
}

#[test]
fn the_vendors_own_sdks_make_the_same_requests_that_change_nothing() {
    for sdk in SDKS.iter().filter(|sdk| !sdk.check.is_empty()) {
        let Some(theirs) = request_of(sdk, sdk.check, "GET") else {
            return;
        };
        let server = Server::answering(500, "{}");
        let _refused = open(sdk.kind, &server.base(), sdk.settings).check(soon());
        assert_same_head(sdk, &server.only_request(), &theirs);
    }
}
