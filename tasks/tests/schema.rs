//! The published schema says what the parser takes.

use std::fs;
use std::path::Path;

use boon::{Compiler, Schemas};
use serde_json::Value;
use vigorl_tasks::scripted::ScriptedTask;

#[test]
fn the_examples_fit_the_schema_and_faulty_tasks_do_not() {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("task.json", ScriptedTask::schema()).unwrap();
    let schema = compiler.compile("task.json", &mut schemas).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut n = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        n += 1;
        let text = fs::read_to_string(&path).unwrap();
        let task = ScriptedTask::parse(&text).unwrap();
        for yaml in [text, task.to_yaml().unwrap()] {
            let value: Value = serde_norway::from_str(&yaml).unwrap();
            let fault = schemas.validate(&value, schema).err().map(|fault| fault.to_string());
            assert_eq!(fault, None, "{}", path.display());
        }
    }
    assert_eq!(n, 10);
    let tail = "expect: [url_contains: x]";
    let check = |start: &str, steps: &str, is_right: bool| {
        let yaml = format!("name: n\nstart: {start}\nsteps: {steps}\n{tail}\n");
        let value: Value = serde_norway::from_str(&yaml).unwrap();
        assert_eq!(schemas.validate(&value, schema).is_ok(), is_right, "{yaml}");
        assert_eq!(ScriptedTask::parse(&yaml).is_ok(), is_right, "{yaml}");
    };
    for (steps, is_right) in [
        ("[click: a]", true),
        ("[retry: { times: 2, until: { text_visible: x }, steps: [click: { what: a, at: [1, 2] }] }]", true),
        ("[within: { secs: 0.5, steps: [type: x] }]", true),
        ("[within: { secs: -1, steps: [type: x] }]", false),
        ("[within: { steps: [type: x] }]", false),
        (
            "[read: { of: title, into: x }, read: { of: { element: { selector: '#a' } }, into: y }, type: '${x} ${y}']",
            true,
        ),
        (
            "[wait_for: { text_gone: x }, assert: { text_visible: { text: x, on: screen, typed: true } }]",
            true,
        ),
        ("[assert: { text_gone: { text: x, on: page } }]", false),
        ("[click: { what: a, text: Save, in: Danger zone, nth: 2, exact: true }]", true),
        ("[click: { what: a, text_matches: '^Order [0-9]+$' }, click: b]", true),
        ("[click: { what: a, text: Save, nth: 0 }]", false),
        ("[read: { of: { screen: { beside: Total, matches: '[0-9.]+' } }, into: x }]", true),
        ("[read: { of: { screen: { left_of: Total } }, into: x }]", false),
        ("[read: { of: colour, into: x }]", false),
        ("[read: { of: title }]", false),
        (
            "[click: { target: a, modifiers: [Control, Shift], button: middle, times: 2, hold_secs: 0.8 }]",
            true,
        ),
        ("[click: { target: { what: a, selector: '#b', offset: [3, -4.5] }, hold_secs: 1 }]", true),
        ("[hover: { what: a, offset: [1, 2] }, drag: { from: a, to: { what: b, offset: [10, 0] } }]", true),
        ("[click: { what: a, offset: 3 }]", false),
        ("[click: { what: a, modifiers: [Control] }]", false),
        ("[click: { target: a, modifiers: [Enter] }]", false),
        ("[click: { target: a, hold_secs: 60 }]", false),
        ("[click: { target: a, times: 0 }]", false),
        ("[fill: { target: a, text: b }, clear: a, clear: { what: a, name: b }, scroll_to: a]", true),
        ("[fill: { target: a }]", false),
        ("[fill: a]", false),
        ("[back, forward, reload, open_tab, close_tab, click: a]", true),
        ("[backward]", false),
        (
            "[switch_tab: { title_contains: a }, switch_tab: { url_contains: b }, switch_tab: { index: 2 }]",
            true,
        ),
        ("[switch_tab: a]", false),
        ("[dialog: accept, dialog: dismiss, dialog: { accept: a }]", true),
        ("[dialog: { dismiss: a }]", false),
        ("[dialog: maybe]", false),
        ("[clikc: a]", false),
        ("[use: { vars: { a: b } }]", false),
        ("[use: [login.yaml]]", false),
        ("[scroll: { target: a }]", false),
        ("[click: { what: a, selektor: b }]", false),
        ("[repeat: { times: 0, steps: [click: a] }]", false),
        ("[click: { what: a, name: Edit, role: button, in: Red Fox, nth: 2, exact: false }]", true),
        (
            "[click: { what: a, name_matches: '^Order', role: button }, click: { what: b, selector: c, nth: 2 }]",
            true,
        ),
        ("[click: { what: a, role: row, in: Red Fox }]", true),
        ("[read: { of: { element: { name: Amount, in: Red Fox } }, into: x }]", true),
        ("[assert: { not: { any: [{ text_matches: '^a' }, { all: [{ text_visible: b }] }] } }]", true),
        ("[assert: { any: [] }]", false),
        ("[assert: { all: [] }]", false),
        ("[assert: { not: [{ text_visible: b }] }]", false),
        (
            "[assert: { that: { text_visible: b }, within_secs: 3 }, wait_for: { that: { url_contains: b }, within_secs: 3 }]",
            true,
        ),
        ("[assert: { that: { text_visible: b }, within_secs: -1 }]", false),
        ("[assert: { that: { text_visible: b }, within: 3 }]", false),
        (
            "[assert: { count: { selector: .row, is: 3 } }, assert: { count: { role: row, at_least: 1, at_most: 2 } }]",
            true,
        ),
        ("[assert: { count: { selector: .row, is: -3 } }]", false),
        ("[assert: { count: { selector: .row, is: 3, nth: 1 } }]", false),
        (
            "[assert: { element: { name: City, value: '' } }, assert: { element: { name: City, text: b } }]",
            true,
        ),
        ("[assert: { element: { name: City, attribute: { name: href, is: b } } }]", true),
        (
            "[wait_for: { downloaded: a.pdf }, assert: { downloaded: { name_matches: 'pdf$', at_least_bytes: 9, contains: b } }]",
            true,
        ),
        ("[assert: { downloaded: { name: a, size: 9 } }]", false),
        ("[assert: { downloaded: { name: a, at_least_bytes: -1 } }]", false),
        ("[assert: { downloaded: [a.pdf] }]", false),
        ("[assert: { element: { name: City, attribute: { name: href } } }]", false),
        ("[assert: { element: { name: City, valu: b } }]", false),
        ("[if: { holds: { text_visible: a }, within_secs: 2, steps: [click: a], else: [click: b] }]", true),
        ("[if: { holds: { text_visible: a }, else: [optional: { secs: 2, steps: [click: b] }] }]", true),
        ("[if: { steps: [click: a] }]", false),
        ("[optional: { secs: -1, steps: [click: b] }]", false),
        ("[optional: { secs: 2 }]", false),
    ] {
        check("{}", steps, is_right);
    }
    for (start, is_right) in [
        (
            "{ url: x, locale: de-DE, time_zone: Europe/Berlin, geolocation: { latitude: 52.5, longitude: 13.4 } }",
            true,
        ),
        ("{ url: x, geolocation: { latitude: 52.5, longitude: 13.4, accuracy: 3 } }", true),
        ("{ url: x, geolocation: { latitude: 95, longitude: 13.4 } }", false),
        ("{ url: x, geolocation: { latitude: 5 } }", false),
        ("{ url: x, permissions: { camera: granted, geolocation: denied, notifications: prompt } }", true),
        ("{ url: x, permissions: { telepathy: granted } }", false),
        ("{ url: x, certificates: accept-any }", true),
        ("{ url: x, certificates: ['95TPurQk4Snzzr1lzzJIVkW3i6iYrjZ9puQ33lzu+ww='] }", true),
        ("{ url: x, certificates: any }", false),
        ("{ url: x, certificates: [ab] }", false),
        ("{ url: x, certificates: [] }", false),
        ("{ url: x, basic_auth: { user: ada, password: '${secret:SHOP}' } }", true),
        ("{ url: x, basic_auth: { user: ada } }", false),
        ("{ url: x, basic_auth: { user: ada, password: 'hunter2', is_filled: true } }", false),
        ("{ url: x, permissions: { camera: yes please } }", false),
        ("{ url: x, storage: state.json }", true),
        ("{ url: x, storage: { file: state.json } }", false),
        ("{ url: x, status: 404 }", true),
        ("{ url: x, status: 4040 }", false),
        ("{ url: x, status: gone }", false),
    ] {
        check(start, "[click: a]", is_right);
    }
}

#[test]
fn shared_steps_and_the_tasks_that_use_them_fit_their_schemas() {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("task.json", ScriptedTask::schema()).unwrap();
    compiler.add_resource("shared.json", ScriptedTask::schema_of_shared_steps()).unwrap();
    let [task, shared] =
        ["task.json", "shared.json"].map(|name| compiler.compile(name, &mut schemas).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (file, part) = (folder.path().join("task.yaml"), folder.path().join("login.yaml"));
    for (steps, is_right) in [
        ("vars: { user: , role: admin }\nsteps: [type: '${user}']", true),
        ("steps: [use: other.yaml]", true),
        ("vars: { user: [] }\nsteps: [type: a]", false),
        ("vars: {}", false),
        ("steps: [type: a]\nstart: {}", false),
    ] {
        let value: Value = serde_norway::from_str(steps).unwrap();
        assert_eq!(schemas.validate(&value, shared).is_ok(), is_right, "{steps}");
        fs::write(folder.path().join("other.yaml"), "steps: [press: Enter]\n").unwrap();
        fs::write(&part, steps).unwrap();
        let yaml = "name: n\nrows: people.csv\nstart: {}\n\
                    before: [use: { file: login.yaml, vars: VARS }, wait_for: { text_visible: x }]\n\
                    steps: [press: Enter]\nafter: [use: other.yaml, press: Enter]\nexpect: [url_contains: x]\n";
        let yaml = yaml.replace("VARS", if steps.contains("user") { "{ user: ada }" } else { "{}" });
        let value: Value = serde_norway::from_str(&yaml).unwrap();
        assert!(schemas.validate(&value, task).is_ok(), "{yaml}");
        let read = ScriptedTask::parse_file(&yaml, &file);
        assert_eq!(read.is_ok(), is_right, "{steps}: {read:?}");
        // What is recorded uses no other file, and fits as well.
        let Ok(read) = read else { continue };
        let value: Value = serde_norway::from_str(&read.to_yaml().unwrap()).unwrap();
        assert!(schemas.validate(&value, task).is_ok(), "{value}");
        assert_eq!(ScriptedTask::parse(&read.to_yaml().unwrap()), Ok(read));
    }
}
