//! The words of the words tier, the most common first.
//!
//! Invariant: no word is in both lists, and none is longer than ten letters.

/// Words a training page may show; a vocabulary of `n` is the first `n` of them.
pub const WORDS: [&str; 160] = [
    "save", "open", "close", "edit", "delete", "search", "help", "home", "next", "back", "send", "cancel",
    "login", "logout", "share", "print", "copy", "paste", "undo", "new", "menu", "file", "view", "settings",
    "profile", "cart", "buy", "add", "remove", "upload", "download", "reply", "inbox", "sort", "filter",
    "refresh", "stop", "play", "pause", "info", "about", "news", "blog", "shop", "price", "name", "email",
    "phone", "city", "date", "time", "today", "week", "month", "year", "map", "photo", "video", "music",
    "audio", "image", "text", "font", "color", "size", "width", "zoom", "rotate", "crop", "draw", "brush",
    "layer", "export", "import", "backup", "restore", "update", "install", "start", "reset", "apply",
    "submit", "accept", "reject", "agree", "skip", "done", "finish", "ready", "yes", "no", "on", "off",
    "show", "hide", "lock", "unlock", "pin", "mark", "star", "like", "follow", "block", "report", "mute",
    "call", "chat", "group", "team", "user", "admin", "guest", "join", "leave", "invite", "accounts",
    "billing", "orders", "coupon", "gift", "return", "track", "ship", "pay", "bank", "card", "cash", "total",
    "tax", "plan", "trial", "free", "pro", "basic", "plus", "code", "test", "build", "run", "debug", "merge",
    "branch", "commit", "issue", "wiki", "docs", "guide", "tips", "support", "contact", "careers", "press",
    "legal", "privacy", "terms", "cookies", "language", "theme", "dark", "light",
];

/// Words that only pages of [`Split::HeldOutWords`](super::Split::HeldOutWords) show.
pub const HELD_OUT_WORDS: [&str; 24] = [
    "archive", "browse", "connect", "discard", "events", "folder", "gallery", "history", "insert", "journal",
    "keyboard", "library", "message", "notify", "options", "preview", "quote", "rename", "select", "ticket",
    "usage", "verify", "window", "zone",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_are_distinct_and_short() {
        let all: BTreeSet<_> = WORDS.iter().chain(&HELD_OUT_WORDS).collect();
        assert_eq!(all.len(), WORDS.len() + HELD_OUT_WORDS.len());
        assert!(all.iter().all(|word| word.len() <= 10 && word.bytes().all(|b| b.is_ascii_lowercase())));
    }
}
