//! What only browsers have: dialogs, tabs, navigation, waiting for a page that moves.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;
use vigorl_geometry::Point;
use vigorl_interface::{Action, Downloads, Driver, DriverError, Key, MouseButton, PageState, Settled};
use vigorl_webdriver::{Options, WebDriver};

use crate::pages::{data_url, evaluate, open, options, start};

const CAP: Duration = Duration::from_secs(5);

fn click(x: f64, y: f64) -> Action {
    Action::Click { at: Point::new(x, y), button: MouseButton::Left, count: 1 }
}

fn answer(accept: bool, text: Option<&str>) -> Action {
    Action::AnswerDialog { accept, text: text.map(str::to_owned) }
}

/// Serves a page on a port of its own, and never answers what the page asks for.
fn serve_once(html: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{html}",
            html.len()
        );
        let mut open = Vec::new();
        // Connections beyond the page are kept open in silence until the browser is gone.
        for stream in listener.incoming().take(8) {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 2048];
            let n_bytes = stream.read(&mut request).unwrap_or(0);
            if request[..n_bytes].starts_with(b"GET / ") {
                stream.write_all(answer.as_bytes()).expect("the browser reads");
            }
            open.push(stream);
        }
    });
    url
}

#[test]
fn a_dialog_reaches_the_caller_and_is_answered() {
    let mut driver = start();
    open(
        &mut driver,
        "<button style='width:200px;height:100px' onclick=\"answer=prompt('Your näme?')\">ask</button>",
    );
    driver.act(&click(50.0, 50.0)).unwrap();
    let blocked = |answer: Result<(), DriverError>| match answer {
        Err(DriverError::DialogOpen { text }) => assert_eq!(text, "Your näme?"),
        other => panic!("{other:?}"),
    };
    blocked(driver.screenshot().map(drop));
    blocked(driver.act(&click(50.0, 50.0)));
    blocked(driver.evaluate("return 1").map(drop));
    let state = driver.page_state().unwrap();
    assert_eq!(state, PageState { dialog: Some("Your näme?".to_owned()), ..PageState::default() });
    assert!(matches!(driver.settle(CAP), Ok(Settled::Quiet { .. })));

    driver.act(&answer(true, Some("Zoë 😀"))).unwrap();
    assert_eq!(evaluate(&mut driver, "return answer").unwrap(), json!("Zoë 😀"));
    driver.act(&click(50.0, 50.0)).unwrap();
    driver.act(&answer(false, None)).unwrap();
    assert_eq!(evaluate(&mut driver, "return answer").unwrap(), json!(null));
    assert!(matches!(driver.act(&answer(true, None)), Err(DriverError::Refused { .. })));
    let stopped = driver.evaluate("alert('in between'); return 1");
    assert!(matches!(&stopped, Err(DriverError::DialogOpen { text }) if text == "in between"), "{stopped:?}");
}

#[test]
fn a_dialog_in_the_middle_of_a_click_leaves_no_button_pressed() {
    let mut driver = start();
    let page = "<body style='height:300px' onmousedown=\"alert('down')\" onmouseup='ups=(window.ups||0)+1'>";
    open(&mut driver, page);
    driver.act(&click(50.0, 50.0)).unwrap();
    driver.act(&answer(true, None)).unwrap();
    assert_eq!(evaluate(&mut driver, "return ups").unwrap(), json!(1));
}

#[test]
fn separate_clicks_are_not_a_double_click() {
    let mut driver = start();
    open(&mut driver, "<body style='height:300px'><script>log=[];onclick=e=>log.push(e.detail)</script>");
    for _ in 0..3 {
        driver.act(&click(50.0, 50.0)).unwrap();
    }
    assert_eq!(evaluate(&mut driver, "return log").unwrap(), json!([1, 1, 1]));
}

#[test]
fn each_screenshot_pixel_hits_what_is_drawn_there() {
    // Columns of one CSS pixel: two screenshot pixels each.
    let mut driver = WebDriver::start(options(2.0)).unwrap();
    open(
        &mut driver,
        "<style>i{position:absolute;top:0;width:1px;height:50px}</style><body><script>hits=[];
         for (let n = 0; n < 4; n++) { const i = document.createElement('i');
           i.style.left = 100 + n + 'px'; i.onclick = () => hits.push(n); document.body.append(i) }</script>",
    );
    for x in 199..209 {
        driver.act(&click(f64::from(x), 31.0)).unwrap();
    }
    assert_eq!(evaluate(&mut driver, "return hits").unwrap(), json!([0, 0, 1, 1, 2, 2, 3, 3]));
}

#[test]
fn hovering_is_seen_in_the_screenshot() {
    let mut driver = start();
    open(
        &mut driver,
        "<style>body{margin:0}div{width:99px;height:99px}div:hover{background:#00f}</style><div></div>",
    );
    let color = |driver: &mut WebDriver| driver.screenshot().unwrap().pixels.get_pixel(20, 20).0;
    assert_eq!(color(&mut driver), [255, 255, 255]);
    driver.act(&Action::Hover { at: Point::new(60.0, 60.0) }).unwrap();
    driver.settle(CAP).unwrap();
    assert_eq!(color(&mut driver), [0, 0, 255]);
}

#[test]
fn a_native_drag_and_drop_is_dropped() {
    let mut driver = start();
    open(
        &mut driver,
        "<style>body{margin:0}div{width:100px;height:100px;background:#eee;margin-bottom:100px}</style>
         <div draggable=true>x</div><div></div><script>log=[];
         for (const n of ['dragstart','drop','dragend']) document.addEventListener(n, e => log.push(n));
         document.addEventListener('dragover', e => e.preventDefault())</script>",
    );
    driver.act(&Action::Drag { from: Point::new(20.0, 20.0), to: Point::new(50.0, 250.0) }).unwrap();
    assert_eq!(evaluate(&mut driver, "return log").unwrap(), json!(["dragstart", "drop", "dragend"]));
}

#[test]
fn scrolling_moves_what_is_under_the_pointer_by_that_many_screenshot_pixels() {
    let mut driver = WebDriver::start(options(2.0)).unwrap();
    open(
        &mut driver,
        "<body style='margin:0;height:3000px'><div id=box style='width:200px;height:200px;overflow:auto'>
         <div style='height:2000px'></div></div>",
    );
    let mut scroll = |y: f64| {
        driver.act(&Action::Scroll { at: Point::new(100.0, y), dx_px: 0.0, dy_px: 300.0 }).unwrap();
        driver.settle(CAP).unwrap();
        evaluate(&mut driver, "return [box.scrollTop, scrollY]").unwrap()
    };
    assert_eq!(scroll(100.0), json!([150, 0]));
    assert_eq!(scroll(600.0), json!([150, 150]));
}

#[test]
fn typing_without_a_field_is_refused_where_it_would_be_lost() {
    let mut driver = start();
    open(&mut driver, "<script>log='';onkeydown=e=>log+=e.key</script>");
    driver.act(&Action::Type { text: "aé\n".to_owned() }).unwrap();
    assert_eq!(evaluate(&mut driver, "return log").unwrap(), json!("aéEnter"));
    let tab = driver.act(&Action::Type { text: "\t".to_owned() });
    assert!(matches!(tab, Err(DriverError::Refused { .. })), "{tab:?}");
}

#[test]
fn every_tab_has_the_viewport_that_was_asked_for() {
    let mut driver = WebDriver::start(options(1.5)).unwrap();
    open(&mut driver, "<a target=_blank href='about:blank' style='display:block;height:200px'>open</a>");
    driver.act(&click(100.0, 100.0)).unwrap();
    driver.settle(CAP).unwrap();
    let tabs = driver.tabs().unwrap();
    assert_eq!(tabs.len(), 2, "the link opened a tab");
    driver.act(&Action::SwitchTab { tab: tabs[1].clone().into() }).unwrap();
    let second = driver.screenshot().unwrap();
    assert_eq!((second.pixels.dimensions(), second.device_pixel_ratio.get()), ((960, 600), 1.5));
    open(&mut driver, "<p>another page in the new tab");
    assert_eq!(driver.screenshot().unwrap().pixels.dimensions(), (960, 600));
    driver.act(&Action::CloseTab).unwrap();
    assert_eq!(driver.tabs().unwrap(), [tabs[0].clone()]);
    assert_eq!(driver.screenshot().unwrap().pixels.dimensions(), (960, 600));
}

#[test]
fn a_tab_that_closed_itself_takes_no_action_and_the_one_before_it_is_looked_at() {
    let mut driver = start();
    let first = driver.tabs().unwrap();
    driver.act(&Action::OpenTab).unwrap();
    driver.evaluate("setTimeout(() => close(), 0)").unwrap();
    // What is meant for it is not done to another one.
    let press = Action::Press { chord: vec![Key::Enter] };
    let gone = (0..100).map(|_| driver.act(&press)).find_map(Result::err);
    assert!(matches!(gone, Some(DriverError::Gone { what: "tab", .. })), "{gone:?}");
    let again = driver.act(&press);
    assert!(matches!(again, Err(DriverError::Gone { what: "tab", .. })), "{again:?}");
    // Whoever asks is answered by the one that is left.
    assert_eq!(driver.evaluate("return 1").unwrap(), "1");
    driver.screenshot().unwrap();
    assert_eq!(driver.tabs().unwrap(), first);
    driver.act(&click(100.0, 100.0)).unwrap();
}

#[test]
fn navigation_goes_there_and_back_or_says_why_not() {
    let mut driver = start();
    assert!(matches!(driver.act(&Action::Back), Err(DriverError::Refused { .. })));
    open(&mut driver, "<title>one</title>");
    open(&mut driver, "<title>two</title>");
    let state = driver.page_state().unwrap();
    assert_eq!((state.title.as_deref(), state.dialog), (Some("two"), None));
    assert_eq!(state.url, Some(data_url("<title>two</title>")));
    driver.act(&Action::Back).unwrap();
    assert_eq!(driver.page_state().unwrap().title.as_deref(), Some("one"));
    // A port that was free a moment ago: nobody listens.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("http://{free}/"), "not a url".to_owned()] {
        let answer = driver.act(&Action::Navigate { url });
        assert!(matches!(answer, Err(DriverError::Refused { .. })), "{answer:?}");
    }
}

#[test]
fn a_server_that_never_answers_meets_the_deadline() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let deadline = Duration::from_secs(8);
    let mut driver = WebDriver::start(Options { deadline, ..options(1.0) }).unwrap();
    let begin = Instant::now();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let answer = driver.act(&Action::Navigate { url });
    assert!(matches!(answer, Err(DriverError::Deadline { .. })), "{answer:?}");
    assert!(begin.elapsed() < deadline * 2, "{:?}", begin.elapsed());
    let begin = Instant::now();
    driver.act(&Action::Navigate { url: data_url("<title>still alive</title>") }).unwrap();
    assert_eq!(driver.page_state().unwrap().title.as_deref(), Some("still alive"));
    assert!(begin.elapsed() < deadline * 2, "{:?}", begin.elapsed());
}

#[test]
fn settling_waits_for_what_moves_and_gives_up_at_the_cap() {
    let mut driver = start();
    let image = "<img width=50 height=50 src=/never.png>";
    let canvas = "<canvas id=c></canvas><script>(function f(t){const g=c.getContext('2d');
        g.fillStyle=`hsl(${t} 90% 50%)`;g.fillRect(0,0,200,200);requestAnimationFrame(f)})(0)</script>";
    let ticking = "<p id=p><script>setInterval(()=>p.textContent=performance.now(),5)</script>";
    let cap = Duration::from_millis(700);
    for restless in [image, canvas, ticking] {
        driver.act(&Action::Navigate { url: serve_once(restless) }).unwrap();
        let settled = driver.settle(cap).unwrap();
        let Settled::Capped { after } = settled else { panic!("{restless} counts as quiet: {settled:?}") };
        assert!(after >= cap && after < cap * 3, "{after:?}");
    }
    open(
        &mut driver,
        "<style>@keyframes s{to{rotate:360deg}}p{margin-top:5000px;animation:s 1s infinite}</style><p>x",
    );
    assert!(matches!(driver.settle(CAP).unwrap(), Settled::Quiet { .. }), "what moves far below is not seen");
    // The caret blinks in a field, next to a still canvas, so that pixels are compared.
    open(&mut driver, "<input autofocus value=text><canvas></canvas>");
    assert!(matches!(driver.settle(CAP).unwrap(), Settled::Quiet { .. }), "a caret is not a change");
}

#[test]
fn what_moves_without_end_is_waited_for_once_and_what_stops_is_waited_for() {
    let mut driver = start();
    let canvas = |millis: u32| {
        format!(
            "<canvas id=c width=99 height=50></canvas><p id=p>text<script>(function f(t){{const g=c.getContext('2d');\
        g.fillStyle=`hsl(${{t}} 90% 50%)`;g.fillRect(0,0,99,50);if(t<{millis})requestAnimationFrame(f)}})(0)</script>"
        )
    };
    let endless = [
        canvas(u32::MAX),
        "<marquee width=99>moves on and on</marquee><p id=p>text".to_owned(),
        "<svg width=99 height=50><rect width=9 height=9><animate attributeName=x from=0 to=90 dur=1s repeatCount=indefinite /></rect></svg><p id=p>text".to_owned(),
        "<div id=h></div><p id=p>text<script>h.attachShadow({mode:'open'}).innerHTML='<marquee width=99>moves</marquee>'</script>".to_owned(),
    ];
    for page in endless {
        open(&mut driver, &page);
        let (settled, _) = driver.settled_screenshot(CAP).unwrap();
        let Settled::Moving { after, within } = settled else { panic!("{settled:?}: {page}") };
        assert!(after >= Duration::from_secs(1) && after < CAP, "{after:?}: {page}");
        assert!(within.width() < 150.0 && within.height() < 100.0, "{within:?}: {page}");
        evaluate(&mut driver, "p.textContent = 'other'").unwrap();
        let settled = driver.settle(CAP).unwrap();
        assert!(
            matches!(settled, Settled::Moving { after, .. } if after < Duration::from_secs(1)),
            "{settled:?}: {page}"
        );
    }
    open(&mut driver, &canvas(700));
    let settled = driver.settle(CAP).unwrap();
    assert!(matches!(settled, Settled::Quiet { .. }), "{settled:?}");
}

#[test]
fn a_page_that_the_watching_script_trips_over_settles_all_the_same() {
    let mut driver = start();
    // An element of no namespace.
    let foreign = "<script>document.body.append(document.createElementNS(null, 'a-b'))</script>";
    // What the script is made of is broken: from the beginning, and in the middle of a look.
    let broken = "<script>document.querySelectorAll = () => { throw new Error('mine') }</script>";
    let later = "<script>let n = 0; const all = document.querySelectorAll.bind(document);
        document.querySelectorAll = (what) => { if (n++ > 1) throw new Error('mine'); return all(what) }</script>";
    for page in [foreign, broken, later] {
        open(&mut driver, &format!("<body><p>still{page}"));
        let settled = driver.settle(CAP).unwrap();
        assert!(matches!(settled, Settled::Quiet { .. }), "{page}: {settled:?}");
        open(&mut driver, &format!("<body><p>still{page}"));
        let (settled, seen) = driver.settled_screenshot(CAP).unwrap();
        assert!(matches!(settled, Settled::Quiet { .. }), "{page}: {settled:?}");
        assert_eq!(seen.pixels.dimensions(), (640, 400));
    }
    // A page of which nothing is told is not taken for a still one.
    let ticking = format!(
        "<body><p id=p>{broken}<script>setInterval(() => p.textContent = performance.now(), 5)</script>"
    );
    open(&mut driver, &ticking);
    let settled = driver.settle(Duration::from_millis(700)).unwrap();
    assert!(matches!(settled, Settled::Capped { .. }), "{settled:?}");
}

#[test]
fn settling_ends_after_the_last_change() {
    let mut driver = start();
    let page = "<style>p{transition:margin .3s}</style><p id=p>x<script>
        onclick=()=>{p.style.marginLeft='300px';p.ontransitionend=()=>p.textContent='arrived'}</script>";
    open(&mut driver, page);
    driver.settle(CAP).unwrap();
    driver.act(&click(30.0, 25.0)).unwrap();
    assert!(matches!(driver.settle(CAP).unwrap(), Settled::Quiet { .. }));
    assert_eq!(evaluate(&mut driver, "return p.textContent").unwrap(), json!("arrived"));
    // The page is replaced while it is asked.
    open(&mut driver, "<title>old</title><script>setTimeout(() => location = 'about:blank', 15)</script>");
    assert!(matches!(driver.settle(CAP).unwrap(), Settled::Quiet { .. }));
    assert_eq!(driver.page_state().unwrap().url.as_deref(), Some("about:blank"));
}

/// Serves a page on a port of its own, and a blue picture 300 ms after it is asked for.
fn serve_with_a_late_picture(html: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            let mut stream = stream.expect("a connection");
            std::thread::spawn(move || {
                let mut request = [0; 2048];
                let n_bytes = stream.read(&mut request).unwrap_or(0);
                let (kind, body) = if request[..n_bytes].starts_with(b"GET / ") {
                    ("text/html", html)
                } else {
                    std::thread::sleep(Duration::from_millis(300));
                    let svg = "<svg xmlns='http://www.w3.org/2000/svg' width='200' height='200'>\
                               <rect width='200' height='200' fill='#00f'/></svg>";
                    ("image/svg+xml", svg)
                };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).ok();
            });
        }
    });
    url
}

#[test]
fn a_settled_screenshot_shows_what_came_of_a_click() {
    const STYLE: &str = "<style>html,body{margin:0;height:300px}</style>";
    // What a timer does is waited for if it is due within the time for which a page must be quiet, which is 25 ms.
    let pages = [
        ("at once", "<body onclick=\"document.body.style.background='#00f'\">"),
        (
            "while it is captured",
            "<body onclick=\"setTimeout(()=>document.body.style.background='#00f',15)\">",
        ),
        (
            "in small steps",
            "<body onclick=\"(function f(n){document.body.style.background=n?`rgb(${n},0,0)`:'#00f';
                 if(n)setTimeout(f,15,n-1)})(20)\">",
        ),
        (
            "by a transition",
            "<style>body{transition:background .3s}</style>
             <body onclick=\"document.body.style.background='#00f'\">",
        ),
        (
            "on a canvas that takes its time",
            "<body style='line-height:0' onclick=\"setTimeout(()=>{c.getContext('2d').fillStyle='#00f';
                 c.getContext('2d').fillRect(0,0,300,300)},15)\"><canvas id=c width=300 height=300></canvas>",
        ),
        (
            "into a field",
            "<style>input{width:300px;height:300px;border:0;padding:0;outline:0;font:400px/300px sans-serif;
                 color:#00f}</style><body onclick=\"setTimeout(()=>i.value='█',15)\"><input id=i readonly>",
        ),
        (
            "on a page whose attributes change now and then",
            "<body onclick=\"document.body.style.background='#00f'\">
             <script>setInterval(()=>document.body.dataset.n=performance.now(),80)</script>",
        ),
        (
            "in a document that replaces this one",
            "<body onclick=\"setTimeout(()=>{document.open();
                 document.write('<body style=background:blue>');document.close()},20)\">",
        ),
    ];
    let mut driver = start();
    for (how, page) in pages {
        for round in 0..3 {
            open(&mut driver, &format!("{STYLE}{page}"));
            driver.settle(CAP).unwrap();
            driver.act(&click(50.0, 50.0)).unwrap();
            let (settled, seen) = driver.settled_screenshot(CAP).unwrap();
            assert!(matches!(settled, Settled::Quiet { .. }), "{how}: {settled:?}");
            assert_eq!(seen.pixels.get_pixel(100, 100).0, [0, 0, 255], "{how}, round {round}");
        }
    }
}

#[test]
fn a_settled_screenshot_waits_for_pictures_and_gives_up_at_the_cap() {
    let mut driver = start();
    let page = "<style>body{margin:0}</style><img width=200 height=200 src=/late.svg>";
    driver.act(&Action::Navigate { url: serve_with_a_late_picture(page) }).unwrap();
    let (settled, seen) = driver.settled_screenshot(CAP).unwrap();
    assert!(matches!(settled, Settled::Quiet { .. }), "{settled:?}");
    assert_eq!(seen.pixels.get_pixel(100, 100).0, [0, 0, 255]);

    open(&mut driver, "<p id=p><script>setInterval(()=>p.textContent=performance.now(),5)</script>");
    let cap = Duration::from_millis(700);
    let begin = Instant::now();
    let (settled, _) = driver.settled_screenshot(cap).unwrap();
    assert!(matches!(settled, Settled::Capped { after } if after >= cap), "{settled:?}");
    assert!(begin.elapsed() < cap * 3, "{:?}", begin.elapsed());

    open(&mut driver, "<body style='height:300px' onclick=\"alert('stop')\">");
    driver.act(&click(50.0, 50.0)).unwrap();
    let blocked = driver.settled_screenshot(CAP);
    assert!(matches!(&blocked, Err(DriverError::DialogOpen { text }) if text == "stop"), "{blocked:?}");
}

/// Serves pages that lead to the next one, each later than the one before it by `step`.
fn serve_later_and_later(button: &'static str, step: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let mut n_pages = 0;
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let n_bytes = stream.read(&mut request).unwrap_or(0);
            let request = &request[..n_bytes];
            if !request.starts_with(b"GET / ") && !request.starts_with(b"POST / ") {
                continue;
            }
            std::thread::sleep(step * n_pages);
            n_pages += 1;
            let html = format!(
                "<title>{n_pages}</title><style>body{{margin:0}}button{{width:300px;height:200px}}</style>{button}"
            );
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{html}",
                html.len()
            );
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    url
}

#[test]
fn a_page_that_is_left_is_captured_and_the_next_one_is_there() {
    let buttons = [
        ("<form method=post action=/><button>next</button></form>", true),
        ("<a href=/><button>next</button></a>", true),
        ("<button onclick=\"location='/'\">next</button>", true),
        // Nobody can know of it before; but nobody waits for a picture that never comes.
        ("<button onclick=\"setTimeout(()=>location='/',25)\">next</button>", false),
    ];
    let deadline = Duration::from_secs(8);
    let mut driver = WebDriver::start(Options { deadline, ..options(1.0) }).unwrap();
    for (button, is_next) in buttons {
        let url = serve_later_and_later(button, Duration::from_millis(4));
        driver.act(&Action::Navigate { url }).unwrap();
        driver.settle(CAP).unwrap();
        for n_pages in 2..27 {
            driver.act(&click(50.0, 50.0)).unwrap();
            let seen = driver.settled_screenshot(CAP);
            assert!(matches!(seen, Ok((Settled::Quiet { .. }, _))), "page {n_pages}: {:?}", seen.err());
            if is_next {
                assert_eq!(driver.page_state().unwrap().title, Some(n_pages.to_string()), "{button}");
            }
            driver.settle(CAP).unwrap();
        }
    }
}

#[test]
fn two_browsers_do_not_disturb_each_other() {
    let run = |color: &'static str| {
        std::thread::spawn(move || {
            let mut driver = start();
            open(&mut driver, &format!("<body style='background:{color}'><input autofocus id=i>"));
            driver.act(&Action::Type { text: color.to_owned() }).unwrap();
            let pixel = driver.screenshot().unwrap().pixels.get_pixel(600, 350).0;
            (evaluate(&mut driver, "return i.value").unwrap(), pixel)
        })
    };
    let (red, blue) = (run("#f00"), run("#00f"));
    assert_eq!(red.join().unwrap(), (json!("#f00"), [255, 0, 0]));
    assert_eq!(blue.join().unwrap(), (json!("#00f"), [0, 0, 255]));
}

/// Begins to give a file to whoever asks, and never ends.
fn serve_a_file_without_an_end() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming().take(8) {
            let mut stream = stream.expect("a connection");
            let n_bytes = stream.read(&mut [0; 2048]).unwrap_or(0);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 99\r\n\
                        Content-Disposition: attachment; filename=slow.csv\r\n\r\na,b\n";
            if n_bytes > 0 {
                stream.write_all(head.as_bytes()).expect("the browser reads");
            }
            open.push(stream);
        }
    });
    url
}

#[test]
fn a_browser_that_still_downloads_something_cannot_forget_it() {
    let mut driver = start();
    driver.forget().unwrap();
    let url = serve_a_file_without_an_end();
    let link = format!("<a id=a href='{url}' download>get it</a>");
    open(&mut driver, &link);
    driver.evaluate("a.click()").unwrap();
    let folder = driver.downloads().expect("a folder of its own");
    let end = Instant::now() + CAP;
    while Downloads::in_folder(&folder).unwrap().under_way.is_empty() {
        assert!(Instant::now() < end, "nothing is downloaded");
        std::thread::sleep(Duration::from_millis(20));
    }
    let forgotten = driver.forget();
    assert!(
        matches!(&forgotten, Err(DriverError::Refused { detail, .. }) if detail.contains("being downloaded")),
        "{forgotten:?}"
    );
    assert_eq!(Downloads::in_folder(&folder).unwrap().whole, Vec::<std::path::PathBuf>::new());
}
