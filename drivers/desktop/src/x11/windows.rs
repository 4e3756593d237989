//! Windows: which there are, what they are called, which lies on top, which has the keyboard.
//!
//! Source: Extended Window Manager Hints 1.5. Without a window manager the root window's children stand in.

use vigorl_geometry::{Desktop, Point, Rect};
use vigorl_interface::{AllowedWindows, DriverError};
use x11rb::connection::Connection as _;
use x11rb::protocol::res::{ClientIdMask, ClientIdSpec, ConnectionExt as _};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ClientMessageEvent, ConnectionExt as _, EventMask, MapState, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;

use super::{X11, lost, rect};

/// As many values of a property as are read.
const MANY: u32 = 4096;

impl X11 {
    /// Windows of applications, the topmost last.
    pub(super) fn windows(&self) -> Result<Vec<Window>, DriverError> {
        if !self.numbers(self.root, self.atoms._NET_SUPPORTING_WM_CHECK)?.is_empty() {
            return self.numbers(self.root, self.atoms._NET_CLIENT_LIST_STACKING);
        }
        let tree = self.conn.query_tree(self.root).map_err(lost)?.reply().map_err(lost)?;
        Ok(tree.children.into_iter().filter(|window| self.is_seen(*window)).collect())
    }

    pub(super) fn is_seen(&self, window: Window) -> bool {
        let attributes = self.conn.get_window_attributes(window).ok().and_then(|cookie| cookie.reply().ok());
        attributes.is_some_and(|a| a.map_state == MapState::VIEWABLE && a.class == WindowClass::INPUT_OUTPUT)
    }

    /// Where a window's contents are, without its frame.
    pub(super) fn place_of(&self, window: Window) -> Result<Rect<Desktop>, DriverError> {
        let size = self.conn.get_geometry(window).map_err(lost)?;
        let origin = self.conn.translate_coordinates(window, self.root, 0, 0).map_err(lost)?;
        let (size, origin) = (size.reply().map_err(lost)?, origin.reply().map_err(lost)?);
        Ok(rect(origin.dst_x, origin.dst_y, size.width, size.height))
    }

    pub(super) fn title_of(&self, window: Window) -> Result<String, DriverError> {
        let title = self.text(window, self.atoms._NET_WM_NAME, self.atoms.UTF8_STRING)?;
        match title.is_empty() {
            true => self.text(window, AtomEnum::WM_NAME.into(), AtomEnum::ANY.into()),
            false => Ok(title),
        }
    }

    /// The class of its application.
    pub(super) fn application_of(&self, window: Window) -> Result<String, DriverError> {
        let class = self.text(window, AtomEnum::WM_CLASS.into(), AtomEnum::STRING.into())?;
        Ok(class.split('\0').nth(1).unwrap_or_default().to_owned())
    }

    /// What a person would call it: its title, or that of a window inside of it, such as of a frame.
    pub(super) fn name_of(&self, window: Window) -> Result<String, DriverError> {
        let own = self.title_of(window)?;
        if !own.is_empty() {
            return Ok(format!("`{own}`"));
        }
        let tree = self.conn.query_tree(window).map_err(lost)?.reply().map_err(lost)?;
        for child in tree.children {
            let title = self.title_of(child)?;
            if !title.is_empty() {
                return Ok(format!("`{title}`"));
            }
        }
        Ok("one without a title".to_owned())
    }

    /// The windows under a place, from the outermost to the innermost; none where only the background is.
    pub(super) fn topmost_at(&self, at: Point<Desktop>) -> Result<Vec<Window>, DriverError> {
        let (mut chain, mut from) = (Vec::new(), self.root);
        loop {
            let inside =
                self.conn.translate_coordinates(self.root, from, at.x as i16, at.y as i16).map_err(lost)?;
            match inside.reply() {
                Ok(reply) if reply.child != x11rb::NONE => {
                    chain.push(reply.child);
                    from = reply.child;
                }
                // A window that was closed meanwhile.
                _ => return Ok(chain),
            }
        }
    }

    /// Whether a chain of windows is `window`, or a menu or dialog of its application.
    pub(super) fn belongs_to(&self, chain: &[Window], window: Window) -> Result<bool, DriverError> {
        if chain.contains(&window) {
            return Ok(true);
        }
        for inside in chain {
            if self.same_application(*inside, window)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether these windows, one inside the other, are an allowed one, or a menu of its application. A menu does not say
    /// which window it is of: if one of the application's is not allowed, its menus are not.
    pub(super) fn is_allowed(&self, chain: &[Window], allowed: &AllowedWindows) -> Result<bool, DriverError> {
        let windows = self.windows()?;
        let allows =
            |window: Window| Ok(allowed.allow(&self.application_of(window)?, &self.title_of(window)?));
        if let Some(window) = chain.iter().find(|window| windows.contains(window)) {
            return allows(*window);
        }
        // A menu is no window of its own to the manager.
        let mut is_any = false;
        for window in windows {
            if self.belongs_to(chain, window)? {
                if !allows(window)? {
                    return Ok(false);
                }
                is_any = true;
            }
        }
        Ok(is_any)
    }

    /// The application of the first of these windows that says so.
    pub(super) fn application_inside(&self, chain: &[Window]) -> Result<String, DriverError> {
        for window in chain {
            let application = self.application_of(*window)?;
            if !application.is_empty() {
                return Ok(application);
            }
        }
        Ok(String::new())
    }

    pub(super) fn same_application(&self, a: Window, b: Window) -> Result<bool, DriverError> {
        Ok(a == b
            || self.process_of(a)?.is_some_and(|process| self.process_of(b).ok().flatten() == Some(process)))
    }

    /// The process that made a window: the server knows it of programs on this machine. Only of others, and of a server
    /// that does not say, what the window claims is believed.
    pub(super) fn process_of(&self, window: Window) -> Result<Option<u32>, DriverError> {
        if self.tells_processes {
            let asked = ClientIdSpec { client: window, mask: ClientIdMask::LOCAL_CLIENT_PID };
            let told = self.conn.res_query_client_ids(&[asked]).map_err(lost)?.reply();
            let told = told.ok().and_then(|reply| reply.ids.first()?.value.first().copied());
            if told.is_some() {
                return Ok(told);
            }
        }
        self.claimed_process_of(window)
    }

    fn claimed_process_of(&self, window: Window) -> Result<Option<u32>, DriverError> {
        Ok(self.numbers(window, self.atoms._NET_WM_PID)?.first().copied())
    }

    /// The active window.
    pub(super) fn active(&self) -> Result<Option<Window>, DriverError> {
        let named = self.numbers(self.root, self.atoms._NET_ACTIVE_WINDOW)?;
        match named.first() {
            Some(&window) if window != x11rb::NONE => Ok(Some(window)),
            _ => self.focused(),
        }
    }

    /// The window that gets the keys.
    pub(super) fn focused(&self) -> Result<Option<Window>, DriverError> {
        let mut window = self.conn.get_input_focus().map_err(lost)?.reply().map_err(lost)?.focus;
        // 0 is none and 1 the root.
        if window <= 1 || window == self.root {
            return Ok(None);
        }
        // Toolkits may focus a window inside of the one that has title and process. What is around them is the window
        // manager's.
        loop {
            if self.claimed_process_of(window)?.is_some() {
                return Ok(Some(window));
            }
            let tree = self.conn.query_tree(window).map_err(lost)?;
            match tree.reply() {
                Ok(tree) if same_client(&self.conn, window, tree.parent) => window = tree.parent,
                _ => return Ok(Some(window)),
            }
        }
    }

    /// Asks the window manager to make a window the active one, as a pager does.
    pub(super) fn activate(&self, window: Window) -> Result<(), DriverError> {
        const PAGER: u32 = 2;
        let message = ClientMessageEvent::new(
            32,
            window,
            self.atoms._NET_ACTIVE_WINDOW,
            [PAGER, x11rb::CURRENT_TIME, 0, 0, 0],
        );
        let mask = EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY;
        self.conn.send_event(false, self.root, mask, message).map_err(lost)?;
        self.sync().map_err(lost)
    }

    /// A property of numbers; empty if the window has none or is gone.
    fn numbers(&self, window: Window, property: Atom) -> Result<Vec<u32>, DriverError> {
        let asked = self.conn.get_property(false, window, property, AtomEnum::ANY, 0, MANY).map_err(lost)?;
        let reply = asked.reply();
        Ok(reply.ok().and_then(|reply| reply.value32().map(Iterator::collect)).unwrap_or_default())
    }

    fn text(&self, window: Window, property: Atom, kind: Atom) -> Result<String, DriverError> {
        let asked = self.conn.get_property(false, window, property, kind, 0, MANY).map_err(lost)?;
        Ok(asked.reply().map(|reply| String::from_utf8_lossy(&reply.value).into_owned()).unwrap_or_default())
    }
}

/// Whether the server gave both windows to one program; the root and no window are nobody's.
pub(super) fn same_client(conn: &RustConnection, a: Window, b: Window) -> bool {
    let client = |window: Window| window & !conn.setup().resource_id_mask;
    client(a) == client(b)
}
