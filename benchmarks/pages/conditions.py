#!/usr/bin/env python3
"""Makes measurement sets for one question: where on this screenshot is what the instruction names?

Usage: python benchmarks/pages/conditions.py OUT [--seed N] [--only NAME…] [--decoys] [--browser PATH] [--driver PATH]

Needs Python with selenium and pillow, Chromium with its driver, and the fonts DejaVu, Liberation, Noto CJK and Noto
Color Emoji (Debian: fonts-dejavu fonts-liberation fonts-noto-cjk fonts-noto-color-emoji).
The same seed makes the same pages; other versions of the browser or of the fonts draw them differently.
`--only` names conditions, and makes the same pages of them as a run of all.
`--decoys` makes the set of decoys instead.

OUT gets one `NNN.png` a page and `pages.json`, a list of
    {file, name, group, w, h, ratio, labels: [], absent: [{text, kind}], asks: [{instruction, kind, box, …}]}
with boxes in pixels of the PNG, [x0, y0, x1, y1].

- `group` of a page and `kind` of an ask are the name of the condition.
- A point is right inside `box`, or inside any of `boxes` where there are several (text on more than one line).
- `box` is the control that carries the text where there is one, and the text's client rect otherwise.
- `target` of an ask is the text that it names, where one text alone names it; a reader can be measured with it.
- `form` of an ask says how its instruction differs from the text: `exact`, or for instance `without accents`.
- `absent` holds what nobody may find on the page. `foreign` names something else altogether. `near` differs from something
  there by a letter, a digit, a word, a kind or a number, visibly: a letter changes into one of another outline.
- `expect` and `decoy_boxes` stand at asks of the set of decoys, whose group is `decoys` and whose kinds are the kinds of
  decoy. `expect` is `absent` where nothing may be clicked, and `box` where the true control stands beside the decoys.

The box of a field, a checkbox or a row of a menu is wider than its text.
A point on the words beside the mark is right in `checkboxes`; a point on the words beside the field is wrong in `fields`.

An invariant: a person who sees the picture alone can answer every ask.
Every ask is therefore checked in the browser, and dropped if its text is covered, cut or off the screenshot, or if a
bare text stands there twice.
Left out for it: letters of another script that look the same, and an advertisement's button alone, which is a button.
The decoys of kind `disabled` take for granted that a grey button is not to be clicked; `greyed` asks only where it is.
"""

import argparse
import base64
import html
import io
import json
import pathlib
import random
import re
import shutil
import tempfile
import unicodedata

from PIL import Image, ImageDraw, ImageFilter

SANS = ["DejaVu Sans", "Liberation Sans"]
SERIF = ["DejaVu Serif", "Liberation Serif"]
MONO = ["DejaVu Sans Mono", "Liberation Mono"]
FONTS = ["Liberation Sans", "DejaVu Sans", "Liberation Serif", "DejaVu Serif"]

# ---------------------------------------------------------------------------------------------------------- words

ENGLISH = """Overview|Dashboard|Invoices|Customers|Suppliers|Warehouse|Shipping|Calendar|Messages|Contacts|Bookmarks|History
Extensions|Appearance|Language|Keyboard|Printers|Bluetooth|Network|Storage|Backup|Security|Notifications|Accessibility
Export report|Import contacts|Archive project|Merge branches|Rename folder|Duplicate page|Share link|Print preview
Upload photo|Clear cache|Restart server|Reset password|Invite member|Remove device|Create ticket|Close window
Open terminal|Find and replace|Word wrap|Full screen|Zoom in|Split editor|Toggle sidebar|Check spelling|Insert table
Add comment|Track changes|Page setup|Line spacing|Paste special|Group objects|Align left|Rotate canvas|Crop image
Adjust brightness|Blur background|Pick colour|Brush size|Undo stroke|New layer|Flatten all|Mute microphone|Start video
Raise hand|Leave meeting|Record session|Send feedback|Report abuse|Contact support|Terms of use|Privacy notice
Cookie policy|Sign out|Switch account|Edit profile|Change avatar|Two-factor login|Recovery codes|Active sessions
Billing address|Payment method|Gift cards|Order status|Track parcel|Return item|Write review|Compare prices|Add to basket
Apply coupon|Continue shopping|Choose size|Store locator|Opening hours|Latest news|Weather|Sports|Politics|Science
Health|Travel|Recipes|Podcasts|Newsletter|Crossword|Obituaries|Classified|Playlists|Albums|Artists|Shuffle|Equalizer
Lyrics|Volume|Subtitles|Playback speed|Quality|Download all|Queue next|Follow author|Mark unread|Snooze|Label as spam
Move to trash|Empty bin|Reply to sender|Forward|Compose|Drafts|Outbox|Filters|Signature|Vacation responder|Deploy now
Build log|Run tests|Open issues|Pull requests|Milestones|Wiki|Insights|Branch rules|Webhooks|Secrets|Runners|Packages
Latency|Throughput|Error rate|Uptime|Incidents|On-call|Escalation|Runbook|Database|Replicas|Snapshots|Migrations
Query plan|Indexes|Vacuum|Locks|Roles|Tenants|Quotas|Usage|Limits|Audit trail|Compliance|Patients|Appointments
Prescriptions|Laboratory|Referrals|Allergies|Vaccines|Timetable|Homework|Grades|Attendance|Library|Cafeteria""".replace("\n", "|").split("|")

PROSE = """The harbour authority counted eleven vessels during the storm and moved three barges upstream.
Our orchard lost a quarter of its cherries, yet the remaining crop tasted sweeter than expected.
A retired surveyor walks along the canal every morning with binoculars and a thermos.
Engineers replaced the copper wiring under the bridge because rodents had chewed the insulation.
The museum borrowed a bronze lantern from Lisbon and insured it for a modest sum.
Volunteers painted the corridor yellow, though the architect had asked for a muted green.
Nobody noticed that the thermostat had been measuring Fahrenheit since the winter.
Passengers with bicycles should board the last carriage and hold the brake.
Her grandmother kept a ledger of birthdays, debts and the weight of every newborn.
A pharmacist in the valley still mixes ointment by hand on Thursdays.
The committee postponed its verdict until the acoustics had been measured twice.
Gravel from the quarry arrives by train and leaves by lorry before sunrise.
Botanists described the orchid as fragrant, stubborn and almost impossible to photograph.
The old cinema reopened as a bakery whose ovens stand where the projector stood.
Fishermen complained about jellyfish, tourists about seagulls, and the mayor about both.
An apprentice repaired the violin with maple from a wardrobe.
Satellites photographed the glacier weekly, and the shoreline retreated by nine metres.
Students borrowed umbrellas from the porter and returned them in autumn.""".split("\n")

OTHER = {
    "pl": ("""Zapisz zmiany|Usuń zaznaczone|Wyślij wiadomość|Załączniki|Ścieżka dostępu|Źródło danych|Skrót klawiszowy|Wyłącz dźwięk
Następny krok|Odśwież stronę|Użytkownicy|Hasło główne|Rozwiń listę|Środowisko|Płatności|Właściwości|Kosz zakupów|Ostrzeżenia
Początek|Zamówienia|Pobierz całość|Język|Połączenia|Głośność|Wróć|Książka adresowa|Rysuj oś|Żądania|Powiększ|Słownik|Ćwiczenia
Dźwięki|Łącze|Późniejsze|Święta|Miesiąc""", "Wczoraj sąsiedzi przynieśli kosz dojrzałych śliwek i słoik miodu.|Nad jeziorem pękł lód, więc łyżwiarze zeszli na brzeg."),
    "cs": ("""Uložit změny|Smazat vše|Odeslat zprávu|Přílohy|Cesta k souboru|Zdroj dat|Klávesové zkratky|Ztlumit zvuk|Další krok|Obnovit stránku
Uživatelé|Hlavní heslo|Rozbalit seznam|Prostředí|Platební údaje|Vlastnosti|Nákupní košík|Upozornění|Začátek|Objednávky|Stáhnout
Připojení|Hlasitost|Zpět|Adresář|Požadavky|Zvětšit|Slovník|Cvičení|Přihlásit se|Měsíc|Účet|Týden|Řádky|Schůzky|Tiskárny""",
           "Včera sousedé přinesli koš zralých švestek a sklenici medu.|Nad rybníkem kroužili čápi a děti počítaly žáby."),
    "fr": ("""Enregistrer à côté|Tout sélectionner|Pièces jointes|Chemin d’accès|Paramètres|Réinitialiser|Étape suivante|Préférences|Accélérer
Créer un modèle|Dernière année|Déconnexion|Boîte de réception|Supprimé récemment|Événements|Français|Fenêtre|Être averti|Qualité
Où acheter|Numéro de série|Synthèse|Tâches|Télécharger|Modèles|Brouillon reçu|Forêt|Décembre|Août|Élèves|Règle graduée|Île voisine
Sécurité|Crêpes salées|Garçon|Noël""", "Hier, les voisins ont apporté un panier de prunes mûres.|Le pêcheur répare ses filets près de l’écluse."),
    "de": ("""Änderungen speichern|Löschen|Überprüfen|Anhänge öffnen|Größe ändern|Schließen|Rückgängig|Empfänger|Lautstärke|Schaltfläche|Für später
Zurücksetzen|Verknüpfung|Übersicht|Einfügen|Gewünschte Menge|Öffnungszeiten|Straße|Schlüssel|Hinzufügen|Ausführen|Wörterbuch
Prüfbericht|Geräte|Aufträge|Nächste Woche|Käufer|Währung|Bestätigen|Größte zuerst|Menü|Verfügbar|Länder|Kürzlich|Maßstab|Übung""",
           "Gestern brachten die Nachbarn einen Korb reifer Pflaumen.|Am Hafen lösten zwei Möwen einen kleinen Streit aus."),
    "tr": ("""Değişiklikleri kaydet|Tümünü sil|İleti gönder|Ekleri aç|Güvenlik|Şifre değiştir|Yazıcılar|Sonraki adım|Sayfayı yenile|Kullanıcılar
Özellikler|Uyarılar|Başlangıç|Siparişler|İndir|Bağlantılar|Ses düzeyi|Geri dön|Sözlük|Alıştırma|Oturum aç|Aylık özet|Çıkış|Görünüm
Ağ ayarları|Işıklar|Ürünler|Müşteriler|Dönüştür|Yıldızlı|Kılavuz|Büyüt|Küçült|Sığdır|Öğrenciler|Çöp kutusu""",
           "Dün komşular bir sepet olgun erik getirdi.|Gölün üstünde leylekler dönüyordu."),
    "vi": ("""Lưu thay đổi|Xóa tất cả|Gửi tin nhắn|Tệp đính kèm|Đường dẫn|Nguồn dữ liệu|Phím tắt|Tắt âm thanh|Bước tiếp theo|Làm mới trang
Người dùng|Mật khẩu chính|Mở rộng|Môi trường|Thanh toán|Thuộc tính|Giỏ hàng|Cảnh báo|Bắt đầu|Đơn đặt mua|Tải xuống|Kết nối|Âm lượng
Quay lại|Sổ địa chỉ|Yêu cầu|Phóng to|Từ điển|Bài tập|Đăng nhập|Tháng này|Chỉnh sửa|Hủy bỏ|Ngôn ngữ|Trợ giúp|Lịch sử""",
           "Hôm qua hàng xóm mang đến một rổ mận chín.|Đàn cò bay trên hồ."),
    "ru": ("""Сохранить изменения|Удалить всё|Отправить письмо|Вложения|Путь к файлу|Источник данных|Горячие клавиши|Выключить звук|Следующий шаг
Обновить страницу|Пользователи|Главный пароль|Развернуть список|Окружение|Платежи|Свойства|Корзина|Предупреждения|Начало работы|Заказы
Скачать|Подключения|Громкость|Назад|Адресная книга|Запросы|Увеличить|Словарь|Упражнения|Войти|Месяц|Язык|Справка|Журнал|Печать|Черновики
Склад|Поставщики|Расписание|Отчёты|Пациенты|Оценки""", "Вчера соседи принесли корзину спелых слив и банку мёда.|Над озером кружили цапли, дети считали лягушек."),
    "uk": ("""Зберегти зміни|Видалити все|Надіслати лист|Вкладення|Шлях до файлу|Джерело даних|Гарячі клавіші|Вимкнути звук|Наступний крок
Оновити сторінку|Користувачі|Головний пароль|Розгорнути список|Середовище|Платежі|Властивості|Кошик|Попередження|Початок|Замовлення
Завантажити|З’єднання|Гучність|Назад|Адресна книга|Запити|Збільшити|Словник|Вправи|Увійти|Місяць|Мова|Довідка|Щоденник|Друк|Чернетки""",
           "Учора сусіди принесли кошик стиглих слив.|Над озером кружляли чаплі."),
    "el": ("""Αποθήκευση αλλαγών|Διαγραφή όλων|Αποστολή μηνύματος|Συνημμένα|Διαδρομή αρχείου|Πηγή δεδομένων|Συντομεύσεις|Σίγαση ήχου
Επόμενο βήμα|Ανανέωση σελίδας|Χρήστες|Κύριος κωδικός|Ανάπτυξη λίστας|Περιβάλλον|Πληρωμές|Ιδιότητες|Καλάθι|Προειδοποιήσεις|Αρχή
Παραγγελίες|Λήψη|Συνδέσεις|Ένταση|Πίσω|Βιβλίο διευθύνσεων|Αιτήματα|Μεγέθυνση|Λεξικό|Ασκήσεις|Είσοδος|Μήνας|Γλώσσα|Βοήθεια|Ιστορικό
Εκτύπωση|Πρόχειρα|Αποθήκη|Προμηθευτές|Πρόγραμμα|Αναφορές|Ασθενείς|Βαθμοί""",
           "Χθες οι γείτονες έφεραν ένα καλάθι ώριμα δαμάσκηνα.|Πάνω από τη λίμνη πετούσαν ερωδιοί."),
    "zh": ("""保存更改|全部删除|发送消息|附件|文件路径|数据来源|快捷键|静音|下一步|刷新页面|用户管理|主密码|展开列表|运行环境|付款方式|属性|购物车|警告
开始使用|订单|下载|网络连接|音量|返回|通讯录|请求|放大|词典|练习|登录|月份|语言|帮助|历史记录|打印|草稿箱|仓库|供应商|课程表|报告|病人|成绩""",
           "昨天邻居送来一篮熟透的李子。|湖面上白鹭盘旋，孩子们数着青蛙。"),
    "ja": ("""変更を保存|すべて削除|メッセージを送る|添付ファイル|データ元|ショートカット|ミュート|次へ進む|ページを更新|ユーザー管理|マスターパスワード
リストを展開|実行環境|支払い方法|プロパティ|買い物かご|警告|はじめに|注文履歴|ダウンロード|ネットワーク|音量|戻る|連絡先|リクエスト|拡大|辞書
練習問題|ログイン|今月|言語|ヘルプ|印刷|下書き|倉庫|仕入先|時間割|レポート|患者|成績|設定|お気に入り""",
           "昨日、隣の人が熟したスモモをかごいっぱい持ってきた。|湖の上をサギが飛んでいた。"),
}
OTHER = {k: (labels.replace("\n", "|").split("|"), prose.split("|")) for k, (labels, prose) in OTHER.items()}

NAMES = """Red Fox|Blue Heron|Grey Wolf|Black Bear|Golden Eagle|Silver Carp|White Stork|Brown Hare|Green Lizard|Snow Leopard|River Otter
Barn Owl|Field Mouse|Sea Turtle|Mountain Goat|Honey Badger|Fire Salamander|Desert Viper|Pine Marten|Marsh Harrier|Night Jar
Coral Trout|Tree Frog|Ground Squirrel|Polar Shrew""".replace("\n", "|").split("|")


def words_of(text):
    return re.findall(r"\w+", text.casefold())


def norm(text):
    return re.sub(r"\s+", " ", text).casefold().strip()


def count(text, page):
    """How often `text` stands in the page's text as words of its own."""
    text = norm(text)
    wide = any(ord(c) > 0x2E80 for c in text)
    left = r"(?<!\w)" if not wide and re.match(r"\w", text) else ""
    right = r"(?!\w)" if not wide and re.search(r"\w$", text) else ""
    return len(re.findall(left + re.escape(text) + right, page))


def plain(text):
    """The text without its accents."""
    text = text.translate(str.maketrans("łŁđĐıßøØ", "lLdDisoO"))
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


# Letters by outline: a near miss changes a letter into one of another class, so that a person sees it at any size.
OUTLINES = [
    ["aceos", "bdhkl", "gpqy", "mw", "vxz", "rt"],
    ["CGOQ", "BDEFPRS", "AVY", "MNW", "LT", "XZK"],
    ["аеосэ", "бфрду", "жшмюы", "гтпнкл", "хч"],
    ["АОСЭ", "БВРД", "ЖШМЮ", "ГТП", "ХЧ"],
    ["αεοσω", "δθζξλβ", "ηγμρφχψ", "τκνπ"],
    ["ΑΔΛ", "ΒΕΠΡ", "ΟΘΩ", "ΣΞ", "ΜΝ", "ΧΥΨ"],
]
DIGITS = {"0": "1247", "1": "0568", "2": "0468", "3": "0147", "4": "0358", "5": "0147", "6": "1247", "7": "0568", "8": "1247", "9": "1245"}


def other_letter(rng, c):
    for alphabet in OUTLINES:
        mine = [g for g in alphabet if c in g]
        if mine:
            return rng.choice([x for g in alphabet if g is not mine[0] for x in g])
    return None


def near(rng, text, pool):
    """The text with one letter, digit, word or ideograph changed, or None."""
    digits = [i for i, c in enumerate(text) if c in DIGITS]
    base = plain(text)
    letters = [i for i, c in enumerate(text) if c == base[i:i + 1] and other_letter(rng, c)] if len(base) == len(text) else []
    wide = [i for i, c in enumerate(text) if ord(c) > 0x2E80]
    words = text.split(" ")
    ways = (["digit"] * 3 if digits else []) + (["letter"] * 2 if len(letters) >= 3 else []) + (["wide"] if len(wide) > 1 else [])
    ways += ["word"] if len(words) > 1 and not digits else []
    if not ways:
        return None
    way = rng.choice(ways)
    if way == "word":
        others = [w for t in pool for w in t.split(" ") if len(w) > 2 and w.casefold() not in words_of(text)]
        if not others:
            return None
        i = rng.randrange(len(words))
        new = rng.choice(others)
        words[i] = new.capitalize() if words[i][:1].isupper() else new.lower()
        return " ".join(words)
    i = rng.choice({"digit": digits, "letter": letters, "wide": wide}[way])
    if way == "digit":
        new = rng.choice(DIGITS[text[i]])
    elif way == "letter":
        new = other_letter(rng, text[i])
    else:
        new = rng.choice([c for t in pool for c in t if ord(c) > 0x4E00 and c not in text] or ["国"])
    return text[:i] + new + text[i + 1:]


def nears(rng, texts, pool, n):
    """n near misses of texts, as far as there are enough."""
    out = []
    for text in rng.sample(texts, len(texts)) * (60 // len(texts)):
        new = near(rng, text, pool)
        if new and new not in out and len(out) < n:
            out.append(new)
    return out


def pick(rng, pool, n):
    """At most n texts of the pool, none of which is a part of another."""
    chosen = []
    for text in rng.sample(pool, len(pool)):
        if len(chosen) == n:
            break
        if not any(norm(text) in norm(c) or norm(c) in norm(text) for c in chosen):
            chosen.append(text)
    return chosen


# ---------------------------------------------------------------------------------------------------------- pages

esc = html.escape


class Page:
    """One page: its HTML, and the asks that point at marked elements of it by key."""

    def __init__(self, group, rng, size=(1280, 800), ratio=1, font=None, px=14, css="", pool=ENGLISH, prose=PROSE):
        self.group, self.rng, self.size, self.ratio, self.pool, self.prose = group, rng, size, ratio, pool, prose
        self.font = font or rng.choice(FONTS)
        self.px, self.css, self.body = px, css, ""
        self.asks, self.absent, self.n, self.name, self.lang = [], [], 0, "", "en"
        self.n_absent = 7  # of each kind
        # No place on the screen is more likely than others of the same layout.
        self.left, self.top = rng.randrange(14, 130), rng.randrange(8, 60)
        self.labels = iter(())

    def key(self):
        self.n += 1
        return f"k{self.n}"

    def mark(self, text, key=None, inner=None, attrs=""):
        key = key or self.key()
        return f'<span data-k="{key}" {attrs}>{inner if inner is not None else esc(text)}</span>', key

    def ask(self, instruction, key, target=None, form="exact", of=None, alone=None, expect=None, decoys=()):
        """`of`: None (the control, or else the text), 'text', 'own' (the element's rect), or a list of keys (their union).
        `alone`: a text that must stand on the page once, as the instruction itself must if `target` says it is a text."""
        self.asks.append(dict(instruction=instruction, key=key, target=target, form=form, of=of, alone=alone, expect=expect, decoys=list(decoys)))

    def t(self, text=None, ask=True, inner=None):
        """The next label, or the text given, marked and asked for."""
        if text is None:
            text = next(self.labels, None)
        if text is None:
            return ""
        if inner is None and getattr(self, "inner", None):
            inner = self.inner(text)
        out, key = self.mark(text, inner=inner)
        if ask:
            self.ask(text, key, target=text, alone=text)
        return out

    def say(self, n=1):
        return " ".join(esc(s) for s in self.rng.sample(self.prose, min(n, len(self.prose))))

    def html(self):
        return (f'<!doctype html><html lang="{self.lang}"><meta charset="utf-8"><style>*{{box-sizing:border-box}}'
                f'html,body{{margin:0;height:100%;overflow:hidden}}'
                f'body{{font:{self.px}px/1.35 "{self.font}",sans-serif;background:#fff;color:#222}}'
                f'button,input,textarea{{font:inherit;color:inherit}}' + BASE + f".main{{padding-left:{self.left}px;padding-top:{self.top}px}}" + self.css + f"</style><body>{self.body}</body></html>")


BASE = """
button,.btn{background:#eee;border:1px solid #999;border-radius:4px;padding:.35em .9em;margin:.2em .3em;display:inline-block;color:inherit}
.pri{background:#1a5fb4;color:#fff;border-color:#1a5fb4}
.bar{display:flex;gap:.4em;align-items:center;padding:.35em .6em;background:#ececec;border-bottom:1px solid #c4c4c4}
.bar span.mi{padding:.2em .7em}
.side{border-right:1px solid #ccc;background:#f6f6f6;padding:.6em}
.nav{display:block;padding:.4em .8em;border-radius:4px}
.cols{display:flex}
.main{padding:1em 1.4em;flex:1}
h1{font-size:1.5em;margin:.3em 0}h2{font-size:1.2em;margin:.7em 0 .3em}p{margin:.5em 0;max-width:60em}
table{border-collapse:collapse}td,th{border-bottom:1px solid #ddd;padding:.35em .9em;text-align:left}th{background:#f3f3f3}
.card{border:1px solid #ccc;border-radius:6px;padding:.8em;background:#fff}
.grid{display:grid;gap:1em}
.menu{position:absolute;background:#fff;border:1px solid #999;box-shadow:2px 3px 8px #0004;padding:.3em 0;min-width:15em}
.menu div{display:flex;justify-content:space-between;padding:.28em 1.2em;gap:2em}
.menu hr{border:0;border-top:1px solid #ccc;margin:.25em 0}
.menu i,.dim{color:#777;font-style:normal}
.row{display:flex;align-items:center;justify-content:space-between;border-bottom:1px solid #e2e2e2;padding:.45em 0}
.status{position:absolute;left:0;right:0;bottom:0;display:flex;gap:2em;background:#ececec;border-top:1px solid #c4c4c4;padding:.25em .8em}
a{color:#0b57d0}
.tabs{display:flex;border-bottom:1px solid #aaa;padding:0 .6em;background:#f4f4f4}
.tab{padding:.5em 1.1em;border:1px solid transparent;border-bottom:0;margin-bottom:-1px}
.tab.on{background:#fff;border-color:#aaa;border-radius:5px 5px 0 0}
.f{border:1px solid #888;border-radius:3px;background:#fff;padding:.35em .5em;width:17em;display:inline-block}
"""


def c(inner, tag="span", cls="", attrs=""):
    """A control around marked text, or nothing around nothing."""
    return f'<{tag} data-c class="{cls}" {attrs}>{inner}</{tag}>' if inner else ""


def layout_app(p):
    r, t = p.rng, p.t
    menu = "".join(c(t(), cls="mi") for _ in range(6))
    tools = "".join(c(t(), "button") for _ in range(5))
    side = "".join(c(t(), "div", "nav") for _ in range(8))
    p.body = (f'<div class="bar m">{menu}</div><div class="bar">{tools}</div><div class="cols"><div class="side" style="width:19em;height:120em">{side}</div>'
              f'<div class="main"><h1>{t()}</h1><p>{p.say(3)}</p>{c(t(), "button", "pri")}{c(t(), "button")}<p>{p.say(2)}</p>'
              f'<h2>{t()}</h2><p>{p.say(2)}</p>{c(t(), "button")}{c(t(), "button")}</div></div>'
              f'<div class="status"><span>{t()}</span><span>{t()}</span></div>')


def layout_settings(p):
    t = p.t
    tabs = "".join(c(t(), "div", "tab" + (" on" if i == 0 else "")) for i in range(5))
    parts = ""
    for _ in range(3):
        rows = "".join(f'<div class="row"><span>{t()}</span>{c(t(), "button") if k != 1 else "<span class=dim>" + p.say().split(" ")[0] + "</span>"}</div>' for k in range(3))
        parts += f"<h2>{t()}</h2><p class=dim>{p.say()}</p>{rows}"
    p.body = f'<div class="tabs">{tabs}</div><div class="main" style="max-width:52em">{parts}<p>{c(t(), "button", "pri")}{c(t(), "button")}</p></div>'


def layout_menus(p):
    t, r = p.t, p.rng
    bar = "".join(c(t(), cls="mi") for _ in range(7))
    keys = ["Ctrl+" + k for k in r.sample("ABCDEFGHJKLMNPRTUVWXYZ", 20)]

    def menu(n, x, y):
        rows = "".join((f'<div data-c>{t()}<i>{keys.pop() if r.random() < .6 else ""}</i></div>' + ("<hr>" if r.random() < .25 else "")) for _ in range(n))
        return f'<div class="menu" style="left:{x}em;top:{y}em">{rows}</div>'
    p.body = (f'<div class="bar m">{bar}</div>{menu(11, 2, 2.4)}{menu(7, 30, 14)}<div class="main" style="margin-left:24em"><p>{p.say(4)}</p></div>'
              f'<div class="status"><span>{t()}</span><span>{t()}</span></div>')


def layout_table(p):
    t = p.t
    head = "".join(f"<th>{t()}" for _ in range(4))
    rows = "".join("<tr>" + "".join(f"<td>{t()}" for _ in range(4)) for _ in range(5))
    p.body = (f'<div class="main"><h1>{p.say().split(" ")[0][:9].strip(",.。，、")}</h1><p>{p.say(2)}</p><table><tr>{head}{rows}</table>'
              f'<p>{c(t(), "button")}{c(t(), "button")}</p></div>')


def layout_cards(p):
    t = p.t
    cards = "".join(f'<div class="card"><h2>{t()}</h2><p>{p.say()}</p><p class=dim>{t()}</p>{c(t(), "button", p.rng.choice(["", "pri"]))}</div>' for _ in range(6))
    p.body = (f'<div class="bar m">{"".join(c(t(), cls="mi") for _ in range(5))}</div>'
              f'<div class="main"><div class="grid" style="grid-template-columns:repeat(3,1fr)">{cards}</div></div>')


LAYOUTS = [layout_app, layout_settings, layout_menus, layout_table, layout_cards]


def reading(group, pages=4, layouts=None, fonts=FONTS, **options):
    """Pages of many labels in one style; each label is asked for by its own words."""
    def make(rng):
        out = []
        order = rng.sample(layouts or LAYOUTS, len(layouts or LAYOUTS))
        for i in range(pages):
            o = dict(options)
            for k in ("px", "css"):
                if callable(o.get(k)):
                    o[k] = o[k](rng, i)
            p = Page(group, rng, font=fonts[i % len(fonts)], **o)
            p.labels = iter(pick(rng, p.pool, 26))
            layout = order[i % len(order)]
            layout(p)
            p.name = f"{layout.__name__[7:]}, {p.font}, {p.px} px"
            out.append(p)
        return out
    return make


DARK = """body{background:#16181d;color:#e4e6eb}.bar,.side,.status,.tabs{background:#22252c;border-color:#3a3f4a}button,.btn{background:#333945;border-color:#4a5160}
.pri{background:#3584e4;color:#fff}.card,.menu{background:#1e2128;border-color:#3a3f4a}th{background:#262a32}td,th,.row{border-color:#333}.dim,.menu i{color:#9aa0ab}
.tab.on{background:#16181d;border-color:#3a3f4a}a{color:#8ab4f8}.f{background:#111;border-color:#666}.menu hr{border-color:#444}"""
FAINT = """body,button,.btn,.pri,.dim,.menu i{color:#949494}body,.bar,.side,.status,.tabs,.card,.menu,button,.btn,.pri,th,.tab.on{background:#fff}
button,.btn,.pri{border-color:#ddd}"""
FAINT_DARK = DARK + "body,button,.btn,.pri,.dim,.menu i{color:#646464}body,.bar,.side,.status,.tabs,.card,.menu,button,.btn,.pri,th,.tab.on{background:#141414}"


# ----------------------------------------------------------------------------------------------- one style each

def spread(rng):
    """3840x2160 with small labels far apart."""
    out = []
    for i in range(5):
        p = Page("4k", rng, size=(3840, 2160), font=FONTS[i % 4], px=[12, 11, 13, 12, 14][i], css=["", DARK][i % 3 == 1])
        cells = rng.sample([(x, y) for x in range(6) for y in range(8)], 20)
        for text, (x, y) in zip(pick(rng, ENGLISH, 20), cells):
            left, top = 60 + x * 620 + rng.randrange(360), 40 + y * 262 + rng.randrange(200)
            inner = p.t(text)
            inner = c(inner, "button") if rng.random() < .4 else inner
            p.body += f'<div style="position:absolute;left:{left}px;top:{top}px;white-space:nowrap">{inner}</div>'
        p.name = f"spread, {p.font}, {p.px} px"
        out.append(p)
    return out


def selected(rng):
    out = []
    for i in range(7):
        p = Page("selected", rng, font=FONTS[i % 4], px=[13, 12, 14, 11][i % 4],
                 css=f".sel{{background:{['#0a64ad', '#3584e4', '#0078d7', '#1a5fb4'][i % 4]};color:#fff}}.it{{padding:.25em .8em}}.list{{border:1px solid #bbb;width:17em;margin:1em}}")
        labels = iter(pick(rng, ENGLISH, 45))
        lists = ""
        for _ in range(4):
            on = rng.sample(range(11), 3)
            items = "".join(f'<div data-c class="it{" sel" if k in on else ""}">{p.t(next(labels, None) or "", ask=k in on)}</div>' for k in range(11))
            lists += f'<div class="list">{items}</div>'
        p.body = f'<div class="main"><p>{p.say(2)}</p><div class="cols" style="flex-wrap:wrap">{lists}</div></div>'
        p.name = f"lists, {p.font}"
        out.append(p)
    return out


def underlined(rng):
    """Where an access key is underlined: a random letter of the label, once on its menu as far as there are letters."""
    def inner(text):
        i = rng.choice([i for i, x in enumerate(text) if x.isalpha() and x.isascii()])
        return esc(text[:i]) + "<u>" + esc(text[i]) + "</u>" + esc(text[i + 1:])
    return inner


def access_keys(rng):
    pages = []
    for i, layout in enumerate([layout_menus, layout_app, layout_settings, layout_menus]):
        p = Page("access_keys", rng, font=FONTS[i], px=[13, 12, 14, 15][i])
        p.labels, p.inner = iter(pick(rng, ENGLISH, 26)), underlined(rng)
        layout(p)
        p.name = f"{layout.__name__[7:]}, {p.font}"
        pages.append(p)
    return pages


def single_characters(rng):
    calc = ["7 8 9 ÷ ( ) %", "4 5 6 × √ π ^", "1 2 3 − C M !", "0 . = + , ? #"]
    ascii_calc = ["7 8 9 / ( )", "4 5 6 * < >", "1 2 3 - A B", "0 . = + D F"]
    letters = ["Q W E R T Y U I O P", "A S D F G H J K L", "Z X C V B N M & @"]
    pin = ["1 2 3", "4 5 6", "7 8 9", "* 0 #"]
    marks = ["A B C D E F", "G H K M N P", "R S T W X Y", "+ = % & @ ?", "# ! $ € £ §"]
    out = []
    for i, rows in enumerate([calc, letters, pin, marks, ascii_calc, calc, letters]):
        px = [20, 16, 24, 14, 18, 13, 12][i]
        p = Page("single_characters", rng, font=(SANS + ["Liberation Sans", "DejaVu Serif"])[i % 4], px=px,
                 css=(DARK if i in (4, 6) else "") + f".key{{width:2.8em;height:2.4em;padding:0;margin:.2em}}.pad{{padding:1.5em}}.out{{height:1.6em;width:16em;border:1px solid #999;margin:.2em .3em .6em}}")
        p.n_absent = 0
        body, shown = "", []
        for row in rows:
            for ch in row.split():
                inner, key = p.mark(ch)
                body += c(inner, "button", "key")
                shown.append(ch)
                word = "letter" if ch.isalpha() and ch != "π" else "digit" if ch.isdigit() else "sign"
                form = rng.choice(["exact", "quoted", "the … button"]) if i not in (0, 1) else "exact"
                said = {"exact": ch, "quoted": f'"{ch}"', "the … button": f"the {ch} button"}[form]
                p.ask(said, key, target=ch, form=form)
                if ch == "−":
                    p.ask("-", key, target=ch, form="hyphen for minus")
                if i in (2, 3) and word != "sign":
                    p.ask(f"the {word} {ch}", key, target=ch, form="the letter …, the digit …")
            body += "<br>"
        p.body = f'<div class="pad"><div class="out"></div>{body}</div>'
        rest = [x for x in "ABCDEFGHKLMNPRSTWXYZ23456789+=%&@#?" if x not in shown]
        rest = rng.sample(rest, min(7, len(rest)))
        p.absent += [dict(text=x, kind="foreign") for x in rest]
        p.absent += [dict(text=f"the {x} button", kind="foreign") for x in rest[:3]]
        two = [a + b for a, b in zip(rng.sample(shown, len(shown)), rng.sample(shown, len(shown))) if a.isalnum() and b.isalnum() and a != b]
        p.absent += [dict(text=x, kind="near") for x in two[:7]]
        p.name = f"keys, {p.font}, {px} px"
        out.append(p)
    return out


def language(group, *codes, fonts=FONTS, px=(14, 13, 16, 12, 15), pages=None, bare=False):
    def make(rng):
        out = []
        todo = list(codes) if pages is None else [codes[i % len(codes)] for i in range(pages)]
        for i, code in enumerate(todo):
            labels, prose = OTHER[code]
            f = fonts[code] if isinstance(fonts, dict) else fonts
            p = Page(group, rng, font=f[i % len(f)], px=px[i % len(px)], pool=labels, prose=prose)
            p.lang = code
            p.labels = iter(pick(rng, labels, 22))
            layout = LAYOUTS[i % len(LAYOUTS)]
            layout(p)
            if bare:
                for a in rng.sample(p.asks, len(p.asks)):
                    if plain(a["target"]) != a["target"] and rng.random() < .35:
                        p.asks.append(dict(a, instruction=plain(a["target"]), form="without accents"))
            p.name = f"{code}, {layout.__name__[7:]}, {p.font}"
            out.append(p)
        return out
    return make


def numbers(rng):
    def price():
        return rng.choice(["${:,.2f}", "€{:,.2f}", "{:,.2f} €", "£{:,.2f}", "{:,.2f}"]).format(rng.randrange(100, 900000) / 100)

    def date():
        y, m, d = rng.randrange(2015, 2027), rng.randrange(1, 13), rng.randrange(1, 29)
        return rng.choice([f"{y}-{m:02}-{d:02}", f"{d:02}.{m:02}.{y}", f"{m:02}/{d:02}/{y}", f"{rng.choice('Mar Apr Jun Jul Aug Sep Oct Nov'.split())} {d}, {y}"])

    def code():
        return rng.choice([lambda: "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ0123456789") for _ in range(rng.randrange(3, 9))),
                           lambda: "".join(rng.choice("RIl1O0SB8") for _ in range(rng.randrange(3, 5))) + rng.choice("K7X4"),
                           lambda: f"{rng.choice(['INV', 'PO', 'SKU', 'TKT'])}-{rng.randrange(1000, 99999)}",
                           lambda: "".join(rng.choice("0123456789abcdef") for _ in range(7))])()

    def number():
        return rng.choice([lambda: str(rng.randrange(100, 99999)), lambda: f"{rng.randrange(1, 99)}.{rng.randrange(10, 99)}%",
                           lambda: f"{rng.randrange(0, 24):02}:{rng.randrange(0, 60):02}", lambda: f"+{rng.randrange(1, 99)} {rng.randrange(200, 999)} {rng.randrange(100, 999)} {rng.randrange(1000, 9999)}",
                           lambda: f"{rng.randrange(10, 250)}.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}",
                           lambda: f"v{rng.randrange(1, 20)}.{rng.randrange(30)}.{rng.randrange(10)}", lambda: f"{rng.randrange(1, 900)} KB"])()
    out = []
    for i in range(5):
        p = Page("numbers", rng, font=["Liberation Sans", "DejaVu Sans Mono", "DejaVu Sans", "Liberation Mono", "Liberation Serif"][i], px=[13, 12, 14, 13, 15][i],
                 css="td{text-align:right}" if i % 2 else "")
        cols = [code, date, number, price, code if i in (1, 3) else number]
        asked = set(rng.sample([(a, b) for a in range(14) for b in range(5)], 20))
        rows = "".join("<tr>" + "".join(f"<td>{p.t(f(), ask=(a, b) in asked)}" for b, f in enumerate(cols)) for a in range(14))
        p.body = f'<div class="main"><h1>{["Ledger", "Parcels", "Readings", "Releases", "Sales"][i]}</h1><table><tr><th>Reference<th>Day<th>Value<th>Amount<th>Extra{rows}</table></div>'
        p.pool = [f() for f in (code, date, number, price, number, price) for _ in range(8)]
        p.name = f"table, {p.font}, {p.px} px"
        out.append(p)
    return out


# --------------------------------------------------------------------------------------------- text in its places

LINKED = """the river census|annual yearbook|visitor statistics|lighthouse tour|pottery workshop|field guide|ferry timetable|parish register|tide tables
weather archive|seed catalogue|chess club|night bus routes|allotment rules|bird atlas|mill restoration|choir rehearsals|bell ringers|local brewery
mountain rescue|cycle path map|town charter|orchard survey|quarry permit|fish market|reading circle|amateur theatre|sundial trail|peat museum
windmill fund|harbour webcam|stamp exhibition|beekeeping course|canoe rental|planning minutes|glass foundry|walking group|repair café|village bakery""".replace("\n", "|").split("|")


def links(rng):
    out = []
    for i in range(5):
        p = Page("links", rng, font=FONTS[i % 4], px=[14, 13, 16, 12, 15][i], pool=LINKED, css=["", "a{text-decoration:none}", "", DARK, ""][i])
        labels = pick(rng, LINKED, 16)
        body = ""
        for k, text in enumerate(labels):
            inner, key = p.mark(text)
            first, second = rng.sample(PROSE, 2)
            words = first.rstrip(".").split(" ")
            at = rng.randrange(3, len(words) - 2)
            body += ("" if k % 3 else "</p><p>") + esc(" ".join(words[:at]).rstrip(",")) + f', see <a href="#">{inner}</a>, ' + esc(" ".join(words[at:])) + ". " + (esc(second) + " " if k % 3 else "")
            form = rng.choice(["exact", "exact", "the … link", "link …"])
            p.ask({"exact": text, "the … link": f"the {text.removeprefix('the ')} link", "link …": f'link "{text}"'}[form], key, target=text, form=form, alone=text)
        p.body = f'<div class="main"><h1>Parish notes</h1><p>{body}</p></div>'
        p.name = f"prose, {p.font}"
        out.append(p)
    return out


def words_inside_a_line(rng):
    out = []
    marks = [("", ""), ("<b>", "</b>"), ("<mark>", "</mark>"), ("<u>", "</u>"), ("<code>", "</code>"), ("<i>", "</i>")]
    for i in range(4):
        p = Page("words_inside_a_line", rng, font=FONTS[i], px=[14, 12, 16, 13][i], pool=[w for s in PROSE for w in re.findall(r"\w{5,}", s)])
        chosen = rng.sample(PROSE, 14)
        text = norm(" ".join(chosen))
        body = ""
        for k, s in enumerate(chosen):
            words = s.split(" ")
            free = [j for j, w in enumerate(words) if j and len(w) >= 4 and w.isalpha() and count(w, text) == 1]
            targets = set(rng.sample(free, min(2, len(free))))
            for j, w in enumerate(words):
                if j in targets:
                    inner, key = p.mark(w)
                    a, b = rng.choice(marks) if rng.random() < .4 else ("", "")
                    body += a + inner + b + " "
                    p.ask(w, key, target=w, alone=w, of="text", form="marked" if a else "exact")
                else:
                    body += esc(w) + " "
            body += "" if k % 3 < 2 else "</p><p>"
        p.body = f'<div class="main"><p>{body}</p></div>'
        p.name = f"prose, {p.font}"
        out.append(p)
    return out


LONG = """Export the selected invoices|Notify me about new comments|Restore the previous version|Send a copy to my address|Share with everyone nearby
Download the complete archive|Remember this device for later|Open attachments in a new window|Require approval before merging|Show hidden system folders
Compare with the published draft|Cancel the monthly subscription|Invite colleagues by telephone|Transfer ownership to another team|Reset all keyboard shortcuts
Hide finished tasks automatically|Convert pictures to grey tones|Import bookmarks from another browser|Mute conversations during meetings|Schedule maintenance for Sunday
Allow guests to upload documents|Print labels on thermal paper|Synchronise the address book|Translate foreign captions|Verify the recovery telephone
Archive messages after thirty days|Pause uploads on mobile networks|Recalculate quarterly forecasts|Highlight overdue deliveries|Combine duplicate patient records""".replace("\n", "|").split("|")


def wrapped(rng):
    out = []
    for i in range(6):
        p = Page("wrapped", rng, font=FONTS[i % 4], px=[14, 13, 15, 12, 14, 16][i], pool=LONG,
                 css=".w{width:11.5em;margin:.6em;text-align:left}.c{text-align:center}" + (DARK if i == 4 else ""))
        cells = ""
        for k, text in enumerate(pick(rng, LONG, 14)):
            inner, key = p.mark(text)
            p.ask(text, key, target=text, alone=text, of="lines")
            kind = (i + k) % 4
            cells += [f'<a href="#" class="w">{inner}</a>', c(inner, "button", "w c"), f'<div class="w">{inner}</div>', f'<div class="w card">{inner}</div>'][kind]
        p.body = f'<div class="main"><p>{p.say(2)}</p><div class="grid" style="grid-template-columns:repeat(4,14em);align-items:start">{cells}</div></div>'
        p.name = f"grid, {p.font}"
        out.append(p)
    return out


def cut_off(rng):
    out = []
    for i in range(6):
        p = Page("cut_off", rng, font=FONTS[i % 4], px=[13, 12, 14, 13, 15, 11][i], pool=LONG + ENGLISH,
                 css=".cell{border:1px solid #ccc;padding:.3em .6em;white-space:nowrap;display:flex;justify-content:space-between}" + (DARK if i == 3 else ""))
        pool = LONG + [t for t in ENGLISH if len(t) > 12]
        cells = ""
        for k, text in enumerate(pick(rng, pool, 18)):
            if k < 12:
                text = text[:rng.randrange(8, min(20, len(text) - 2))].rstrip() + "…"
                inner, key = p.mark(text)
                form = rng.choice(["exact", "exact", "three dots", "without the ellipsis"])
                p.ask({"exact": text, "three dots": text[:-1] + "...", "without the ellipsis": text[:-1]}[form], key, target=text, form=form, alone=text)
            else:
                inner, key = p.mark(text)
            cells += f'<div class="cell" data-c>{inner}</div>'
        p.body = f'<div class="main"><p>{p.say(2)}</p><div class="grid" style="gap:2px 1.5em;grid-template-columns:repeat(3,17em)">{cells}</div></div>'
        p.name = f"files, {p.font}"
        out.append(p)
    return out


def tight_rows(rng):
    out = []
    for i in range(4):
        p = Page("tight_rows", rng, font=["Liberation Sans", "DejaVu Sans", "DejaVu Sans Mono", "Liberation Sans"][i], px=[11, 10, 11, 12][i],
                 css="td,th{padding:0 8px;height:16px;line-height:16px;border:%s}" % ["0", "1px solid #ddd", "0", "1px solid #bbb"][i] + ("tr:nth-child(even){background:#f0f4fa}" if i == 0 else ""))
        labels = iter(pick(rng, ENGLISH + NAMES, 120))
        cells = [[next(labels, None) for _ in range(4)] for _ in range(28)]
        asked = set(rng.sample([(a, b) for a in range(28) for b in range(4) if cells[a][b]], 20))
        rows = "".join("<tr>" + "".join(f"<td>{p.t(x, ask=(a, b) in asked) if x else ''}" for b, x in enumerate(r)) for a, r in enumerate(cells))
        p.body = f'<div style="padding:8px"><table>{rows}</table></div>'
        p.name = f"table, {p.font}, {p.px} px"
        out.append(p)
    return out


def picture(rng, w, h, kind):
    """A made-up photograph or gradient as a data URL."""
    small = Image.new("RGB", (w // 4, h // 4))
    d = ImageDraw.Draw(small)
    a, b = [tuple(rng.randrange(20, 150) for _ in range(3)) for _ in range(2)]
    for y in range(small.height):
        f = y / small.height
        d.line([(0, y), (small.width, y)], fill=tuple(int(x * (1 - f) + z * f) for x, z in zip(a, b)))
    if kind != "gradient":
        for _ in range(90):
            x, y, s = rng.randrange(small.width), rng.randrange(small.height), rng.randrange(4, 40)
            col = tuple(rng.randrange(20, 165) for _ in range(3))
            rng.choice([d.ellipse, d.rectangle])([x - s, y - s, x + s, y + s // 2], fill=col)
    image = small.filter(ImageFilter.GaussianBlur(1.5 if kind == "photo" else 4)).resize((w, h), Image.BICUBIC)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def over_a_picture(rng):
    out = []
    for i in range(5):
        kind = ["photo", "gradient", "soft", "photo", "gradient"][i]
        p = Page("over_a_picture", rng, font=FONTS[i % 4], px=[17, 15, 16, 20, 14][i],
                 css=f"body{{background:url({picture(rng, 1280, 800, kind)});color:#fff{';text-shadow:0 0 3px #000,0 0 2px #000' if kind != 'gradient' else ''}}}"
                 + ".o{padding:.5em .9em;font-weight:%s}" % ["bold", "normal"][i % 2])
        cells = "".join(f'<div class="o">{p.t(x)}</div>' for x in pick(rng, ENGLISH, 16))
        p.body = f'<div class="grid" style="padding:50px;grid-template-columns:repeat(4,1fr);gap:90px 20px">{cells}</div>'
        p.name = f"{kind}, {p.font}"
        out.append(p)
    return out


PAIRS = """Save As…|save as;Sign In|sign in;LOG OUT|log out;E-mail:|E-mail;First name:|first name;Print…|print;Preferences…|Preferences;Are you sure?|are you sure
NEW MESSAGE|New message;Find & Replace|find & replace;Read-only|read only;Sign-up|sign up;Page setup…|Page Setup;Learn more »|learn more;« Previous|previous
SUBSCRIBE|subscribe;Show all (24)|show all;Next ›|next;Postal code*|postal code;Password:|password;check for updates|Check for Updates;OPTIONS|Options
Remember me?|Remember me;Help!|help;Open File...|open file;Drafts (3)|Drafts;Cut / Copy|cut/copy;Zoom: 100 %|zoom 100%;Terms, conditions|terms conditions
To-do list|To do list;Add to cart »|Add to cart;GET STARTED|get started;Country / Region:|country / region;Don't ask again.|don't ask again;Ready!|ready
Re-send code|resend code;go back|Go Back;ABOUT US|About us;Full screen|FULL SCREEN;Undo|UNDO;Move to…|move to;Last 7 days:|last 7 days;(optional)|optional
Total:|total;Quick tour...|quick tour;Skip »|Skip;STATUS: OK|status: ok;Install now!|install now;View source…|View Source;Top ↑|top;Price (€)|price
Go online|go on-line;Username:|User name:;Tool bar|toolbar;Back-up|Backup;more...|More;Contact Us|contact us;REPORTS|reports;My Account|my account;Inbox:|inbox""".replace("\n", ";").split(";")
PAIRS = [tuple(x.split("|")) for x in PAIRS]


def loose(page, target, said, rng, inner=None, form="loose"):
    inner, key = page.mark(target, inner=inner)
    page.ask(said, key, target=target, form=form, alone=target)
    return rng.choice([lambda: c(inner, "button"), lambda: f'<div style="padding:.4em">{inner}</div>', lambda: f'<a href="#" style="padding:.4em;display:inline-block">{inner}</a>'])()


def grid(page, cells, columns=4, gap="1.6em 1em"):
    page.body = f'<div class="main"><p>{page.say(2)}</p><div class="grid" style="gap:{gap};grid-template-columns:repeat({columns},1fr);align-items:start">{"".join(f"<div>{x}</div>" for x in cells)}</div></div>'


def pairs(group, table, n_pages, fonts=FONTS, n=16, form="loose", css="", tight=None):
    """Pages of texts, each asked for as the table says it."""
    def make(rng):
        out = []
        rest = rng.sample(table, len(table))
        for i in range(n_pages):
            p = Page(group, rng, font=fonts[i % len(fonts)], px=[14, 13, 16, 12, 15][i % 5], css=css, pool=ENGLISH)
            if len(rest) < n:
                rest = rest + rng.sample(table, len(table))
            mine, seen = [], []
            for entry in list(rest):
                words = norm(re.sub(r"[^\w ]", "", plain(entry[1])))
                if len(mine) < n and not any(words in s or s in words for s in seen):
                    mine.append(entry)
                    seen.append(words)
                    rest.remove(entry)
            grid(p, [loose(p, shown, said, rng, form="exact" if shown == said else form) for shown, said in mine])
            p.near_of = [said for _, said in mine]
            p.name = f"grid, {p.font}, {p.px} px"
            out.append(p)
        return out
    return make


QUOTES = """Don’t save|Don't save;Don't ask|Don’t ask;“Untitled” draft|"Untitled" draft;"Final" copy|“Final” copy;O’Brien|O'Brien;D'Angelo|D’Angelo
What’s new|What's new;Let's start|Let’s start;Today’s orders|Today's orders;Manager's desk|Manager’s desk;‘Quiet’ mode|'Quiet' mode;Rock ’n’ roll|Rock 'n' roll
“Read me” file|"Read me" file;Children’s books|Children's books;Can't connect|Can’t connect;You’re offline|You're offline;L’Aquila|L'Aquila;Men's shoes|Men’s shoes
„Neu“ öffnen|"Neu" öffnen;«Retour» page|"Retour" page;Tonight’s menu|Tonight's menu;I’m feeling lucky|I'm feeling lucky;Who's online|Who’s online;Player’s handbook|Player's handbook""".replace("\n", ";").split(";")
QUOTES = [tuple(x.split("|")) for x in QUOTES] + [tuple(reversed(x.split("|"))) for x in QUOTES if x[0] not in "„«"]

LIGATURES = """Office|Offline files|Profile|Filters|Configure|Workflow|Affiliates|Traffic|Efficiency|Find first|Final figure|Flowchart|Fly-out|Reflow text
Firewall|Fiscal year|Scientific|Certificates|Notifications off|Specification|Inflation|Shuffle|Waffle chart|Coffee break|Difficulty|Officers|Refine
Flags|Fixed fee|Overflow|Fjord tours|Staff only|Briefing|Influence|Flip flop|Fieldwork|Buffer size|Suffix|Raffle|Flat files|Fingerprint|Flights
Benefits|Beneficiary|Flash|Identify|Simplify|Fifty-five|Flour|Sniffer|Artificial|Gift finder|Baffle|Sheffield|Finland|Flanders|Conflicts|Muffins|Unfit|Griffin""".replace("\n", "|").split("|")
LIGATURES = [(x, x) for x in LIGATURES] + [(x.replace("ffi", "ffi").replace("fi", "\ufb01").replace("fl", "\ufb02"), x) for x in LIGATURES[::4] if "fi" in x or "fl" in x]

EMOJI = [e.split(" ", 1) for e in """🔒 Security;📦 Packages;🎉 Releases;🐛 Bug report;🚀 Deploy now;📅 Calendar;💬 Messages;⭐ Favourites;🔥 Trending;📎 Attachments;🛒 Basket;🏠 Homepage;📷 Camera
🎵 Music;🗑️ Trash;🔔 Alerts;🌍 Language;👤 Profile;📊 Reports;💡 Ideas;🔑 Access keys;📝 Notes;🎁 Gift cards;🚗 Rentals;✈️ Flights;🏥 Clinics;🍕 Pizza;☕ Coffee;🎓 Courses;🧪 Laboratory
📞 Callback;🖨️ Print all;💾 Store copy;🧹 Clean up;⏰ Reminders;🔍 Explore;🌙 Night mode;❤️ Wishlist;🏆 Leaderboard;🎮 Arcade;🐳 Containers;🧩 Extensions;🗺️ Maps;🎨 Themes;📚 Library
🔧 Repairs;🧾 Receipts;🎤 Karaoke;🏷️ Price tags;⚽ Football;🌱 Garden;🐶 Dog walks;🧊 Freezer;🪑 Furniture;🚲 Bicycles;🎬 Premieres;🛠️ Workshop;🧭 Routes;💳 Card limits;🎯 Targets;🥗 Salads""".replace("\n", ";").split(";")]


def emoji(rng):
    out = []
    rest = rng.sample(EMOJI, len(EMOJI))
    for i in range(4):
        p = Page("emoji", rng, font=FONTS[i], px=[15, 13, 17, 14][i], css=DARK if i == 1 else "")
        mine, rest = rest[:15], rest[15:]
        cells = []
        for sign, word in mine:
            inner, key = p.mark(word)
            whole = f"{inner} {sign}" if rng.random() < .3 else f"{sign} {inner}"
            outer = p.key()
            p.ask(word, key, target=word, alone=word, form="the words alone")
            if rng.random() < .25:
                p.ask(f"{sign} {word}", key, target=word, alone=word, form="with the emoji")
            cells.append(f'<span data-c data-k="{outer}" class="{rng.choice(["btn", "nav", "card"])}" style="display:inline-block">{whole}</span>')
        grid(p, cells, gap="2.2em 1em")
        p.name = f"grid, {p.font}"
        out.append(p)
    return out


def greyed(rng):
    grey = ["#a0a0a0", "#9a9a9a", "#a6a6a6", "#8f8f8f"]
    out = []
    for i in range(5):
        p = Page("greyed", rng, font=FONTS[i % 4], px=[13, 14, 12, 15, 13][i], css=f".off,.off i{{color:{grey[i % 4]}}}.tight{{display:table}}button.off{{background:#f4f4f4;border-color:#d0d0d0}}")
        labels = iter(pick(rng, ENGLISH, 60))

        def item(tag, cls, extra=""):
            off = rng.random() < .5
            text = next(labels, None)
            return c(p.t(text, ask=off) + extra, tag, cls + (" off" if off else "")) if text else ""
        p.body = (f'<div class="tabs">{"".join(item("div", "tab") for _ in range(6))}</div><div class="bar">{"".join(item("button", "") for _ in range(7))}</div>'
                  f'<div class="menu" style="left:3em;top:8em">{"".join(item("div", "") for _ in range(12))}</div>'
                  f'<div class="main" style="margin-left:22em"><p>{p.say(2)}</p>{"".join(c("<input type=checkbox disabled> " + p.t(next(labels)), "div", "off tight") for _ in range(4))}'
                  f'<p>{"".join(item("button", "") for _ in range(5))}</p></div>')
        p.name = f"menu and buttons, {p.font}"
        out.append(p)
    return out


# ------------------------------------------------------------------------------------------- kinds and relations

WORDS = "Save|Reports|Export|Messages|Archive|Publish|Photos|Updates|Preview|Invoices|Orders|Notes|Share|Backup|Filters|Settings|Search|Print|Review|Schedule".split("|")


def absences(p, foreign, nears):
    p.absent += [dict(text=x, kind="foreign") for x in foreign] + [dict(text=x, kind="near") for x in nears]
    p.n_absent = 0


def said_kind(rng, word, kind):
    return rng.choice([f"the {word} {kind}", f"{kind} {word}", f'the "{word}" {kind}', f'{kind} "{word}"'])


def kinds(rng):
    out = []
    for i in range(8):
        p = Page("kinds", rng, font=FONTS[i % 4], px=[14, 13, 15, 12][i % 4], css=DARK if i == 5 else "")
        w = rng.sample(WORDS, 10)
        asked = []

        def m(word, kind=None):
            inner, key = p.mark(word)
            if kind:
                p.ask(said_kind(rng, word, kind), key, target=word, form=kind)
                asked.append((word, kind))
            return inner
        # Every word stands there as two or three kinds of thing, and at most once as each.
        tabs = "".join(c(m(x, "tab"), "div", "tab" + (" on" if k == 0 else "")) for k, x in enumerate([w[0], w[1], w[2], w[9]]))
        buttons = "".join(c(m(x, "button"), "button", rng.choice(["", "pri"])) for x in [w[0], w[3], w[4], w[5]])
        linked = " · ".join(f'<a href="#">{m(x, "link")}</a>' for x in [w[1], w[3], w[6]])
        boxes = "".join(f'<div><label data-c><input type="checkbox"> {m(x, "checkbox")}</label></div>' for x in [w[4], w[6]])
        p.body = (f'<div class="tabs">{tabs}</div><div class="main"><h1>{m(w[2])}</h1><p>{m(w[0])} and {m(w[1]).lower()} were discussed at length. {p.say(1)}</p>'
                  f'<p>{buttons}</p><p>{p.say(1)} {m(w[5])} took three weeks.</p><p>{linked}</p><h2>{m(w[3])}</h2>{boxes}<p>Word of the day: {m(w[4])}. {p.say(1)}</p></div>')
        mine = list(dict.fromkeys(x for x, _ in asked))
        others = [x for x in WORDS if x not in w]
        absences(p, [said_kind(rng, x, k) for x, k in zip(rng.sample(others, 7), ["button", "link", "tab", "checkbox", "button", "link", "tab"])],
                 rng.sample([f"the {x} {k}" for x in mine for k in ("button", "link", "tab") if (x, k) not in asked], 7))
        p.name = f"words of several kinds, {p.font}"
        out.append(p)
    return out


NUMBER = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh"]
SHORT = ["1st", "2nd", "3rd", "4th", "5th", "6th", "7th"]


def ordinals(rng):
    out = []
    for i in range(9):
        p = Page("ordinals", rng, font=FONTS[i % 4], px=[14, 13, 15, 12][i % 4], css=DARK if i == 4 else "")
        n, rows, word, link = rng.randrange(3, 7), "", *rng.choice([("Edit", "Remove"), ("Open", "Delete"), ("Reply", "Report"), ("View", "Share"), ("Buy", "Compare")])
        names = rng.sample(NAMES, n)
        keys = {word: [], link: []}
        for name in names:
            cells = ""
            for x, tag in ((word, "button"), (link, "a")):
                inner, key = p.mark(x)
                keys[x].append(key)
                cells += c(inner, "button") if tag == "button" else f'<a href="#" style="margin:0 1em">{inner}</a>'
            rows += f'<div class="row" style="padding:.8em 0"><span><b>{name}</b> <span class=dim>{rng.randrange(2, 90)} days ago</span></span><span>{cells}</span></div>'
        p.body = f'<div class="main" style="max-width:46em"><h1>Sightings</h1><p>{p.say(2)}</p>{rows}</div>'
        for x in keys:
            for k in rng.sample(range(n), min(n, 3)):
                p.ask(rng.choice([f"the {NUMBER[k]} {x}", f"{NUMBER[k]} {x}", f"{SHORT[k]} {x}", f"the {NUMBER[k]} {x} {'button' if x == word else 'link'}"]), keys[x][k], target=x, form="nth")
            p.ask(rng.choice([f"the last {x}", f"last {x}", f"the last {x} {'button' if x == word else 'link'}"]), keys[x][-1], target=x, form="last")
        others = rng.sample([x for x in WORDS if x not in keys], 7)
        absences(p, [f"the {NUMBER[k % 3]} {x}" for k, x in enumerate(others)], [f"the {NUMBER[k]} {x}" for x in keys for k in range(n, 7)] + [f"the {n} {x}" for x in keys for n in ("eighth", "ninth")])
        p.name = f"{n} rows, {p.font}"
        out.append(p)
    return out


def rows(rng):
    out = []
    for i in range(7):
        p = Page("rows", rng, font=FONTS[i % 4], px=[14, 13, 12, 15][i % 4], css=("tr:nth-child(even){background:#f4f6fa}" if i % 2 else "") + (DARK if i == 5 else ""))
        n = rng.randrange(6, 11)
        names = rng.sample(NAMES, n)
        a, b = rng.choice([("Edit", "Delete"), ("Open", "Archive"), ("Assign", "Close"), ("Details", "Remove")])
        body, at = "", []
        for name in names:
            box = p.key()
            one, ka = p.mark(a)
            two, kb = p.mark(b)
            second = f'<a href="#">{two}</a>' if i % 2 else c(two, "button")
            body += (f'<tr><td><input type="checkbox" data-k="{box}" {"checked" if rng.random() < .3 else ""}><td>{name}<td>{rng.randrange(1, 60)}<td>{rng.choice(["open", "closed", "waiting"])}'
                     f'<td>{c(one, "button")}<td>{second}')
            at.append((name, {a: ka, b: kb, "checkbox": box}))
        p.body = f'<div class="main"><h1>Register</h1><p>{p.say(1)}</p><table><tr><th><th>Name<th>Count<th>State<th><th>{body}</table></div>'
        for name, keys in rng.sample(at, 5):
            for what in rng.sample(list(keys), 2):
                if what == "checkbox":
                    said = rng.choice([f"the checkbox in the row of {name}", f"checkbox in the row of {name}", f"the checkbox in the {name} row", f'the checkbox in the row "{name}"'])
                else:
                    said = rng.choice([f"{what} in the row of {name}", f'{what} in the row "{name}"', f"the {what} {'link' if what == b and i % 2 else 'button'} in the row of {name}", f"in the row of {name}, {what}", f"{what} in the {name} row"])
                p.ask(said, keys[what], target=None if what == "checkbox" else what, form="checkbox" if what == "checkbox" else "text", of="own" if what == "checkbox" else None)
        gone = [x for x in NAMES if x not in names]
        other = rng.sample([x for x in WORDS if x not in (a, b)], 4)
        mixed = [f"{x.split()[0]} {y.split()[1]}" for x in names for y in names if x != y and f"{x.split()[0]} {y.split()[1]}" not in NAMES]
        absences(p, [f"{a} in the row of {x}" for x in rng.sample(gone, 4)] + [f"the checkbox in the row of {x}" for x in rng.sample(gone, 3)],
                 [f"{x} in the row of {y}" for x, y in zip(other, names)] + [f"{b} in the row of {x}" for x in rng.sample(mixed, 3)])
        p.name = f"{n} rows, {p.font}"
        out.append(p)
    return out


TITLES = "Danger zone|Billing address|Shipping address|Team members|Access tokens|Deploy keys|Mailing list|Public profile|Time zone|Spam filter|Old backups|Guest accounts".split("|")


def below_above(rng):
    out = []
    for i in range(10):
        p = Page("below_above", rng, font=FONTS[i % 4], px=[14, 13, 15, 12][i % 4], css=DARK if i == 7 else "")
        titles = rng.sample(TITLES, 5)
        word = rng.choice(["Delete", "Save", "Change", "Open", "Reset"])
        extra = "button" if i % 2 else ""
        the = (lambda x: f"the {x} button") if i % 2 else (lambda x: x)
        body, keys = "", []
        if i % 2 == 0:  # headings, each with one button under it: far enough apart that 'below' has one nearest answer
            for t in titles[:4]:
                inner, key = p.mark(word)
                keys.append(key)
                body += f'<div style="height:8.6em"><h2>{t}</h2><p>{p.say(1)}</p>{c(inner, "button")}</div>'
            p.body = f'<div class="main">{body}</div>'
            for t, key in rng.sample(list(zip(titles, keys)), 3):
                p.ask(rng.choice([f"{the(word)} below {t}", f'{the(word)} below "{t}"', f"the {word} button below {t}", f"{the(word)} under {t}"]), key, target=word, form="below")
            k = rng.randrange(1, 4)
            p.ask(rng.choice([f"{the(word)} above {titles[k]}", f'the {word} button above "{titles[k]}"']), keys[k - 1], target=word, form="above")
            relations = ["below", "above"]
        else:  # rows with a button at the left and another at the right of a title
            other = rng.choice([x for x in ("Show", "Test", "Copy", "Undo") if x != word])
            for t in titles:
                left, kl = p.mark(word)
                right, kr = p.mark(word if i % 4 == 1 else other)
                keys.append((kl, kr))
                body += f'<div style="display:flex;align-items:center;gap:1em;margin:1.1em 0">{c(left, "button")}<span style="width:11em">{t}</span>{c(right, "button")}</div>'
            p.body = f'<div class="main"><p>{p.say(2)}</p>{body}</div>'
            w2 = word if i % 4 == 1 else other
            for k in rng.sample(range(5), 4):
                t = titles[k]
                p.ask(rng.choice([f"{the(word)} left of {t}", f"{word} to the left of {t}", f'{the(word)} left of "{t}"']), keys[k][0], target=word, form="left of")
                p.ask(rng.choice([f"{the(w2)} right of {t}", f"{w2} to the right of {t}", f'{the(w2)} right of "{t}"']), keys[k][1], target=w2, form="right of")
                if w2 != word:
                    p.ask(rng.choice([f"{the(w2)} next to {t}", f'{the(w2)} next to "{t}"']), keys[k][1], target=w2, form="next to")
            relations = ["left of", "right of"]
        gone = [x for x in TITLES if x not in titles]
        others = rng.sample([x for x in WORDS if x not in ("Save", "Settings")], 7)
        absences(p, [f"{word} {rng.choice(relations)} {x}" for x in rng.sample(gone, 7)], [f"{x} {rng.choice(relations)} {rng.choice(titles[:4])}" for x in others])
        p.name = f"{'sections' if i % 2 == 0 else 'rows'}, {p.font}"
        out.append(p)
    return out


FIELDS = """E-mail|Password|First name|Surname|Company|Street|Postal code|City|Telephone|Date of birth|Voucher|Nickname|Job title|Web address|Subject|Budget
Account number|Card holder|Fax|Reference|Purchase order|Delivery note|Weight|Height|Floor|Building|Landlord|Tax number|Passport|Nationality""".replace("\n", "|").split("|")


def fields(rng):
    out = []
    for i in range(8):
        p = Page("fields", rng, font=FONTS[i % 4], px=[14, 13, 15, 12][i % 4], css=DARK if i == 6 else "", pool=FIELDS)
        names = rng.sample(FIELDS, 9)
        style = ["left", "above", "inside", "left", "above", "two columns", "right aligned", "above"][i]
        body = ""
        for name in names:
            key = p.key()
            mark = rng.choice(["", "", ":", " *"])
            shown = name + (mark if style != "inside" else "")
            value = rng.choice(["", "", "", "n/a", "unknown", "4711"])
            attr = f'placeholder="{name}"' if style == "inside" else f'value="{value}"'
            tag = f'<input class="f" data-k="{key}" {attr}>' if rng.random() < .85 else f'<textarea class="f" rows="2" data-k="{key}" {"placeholder=" + chr(34) + name + chr(34) if style == "inside" else ""}>{value if style != "inside" else ""}</textarea>'
            star = shown.replace(" *", ' <span style="color:#c00">*</span>')
            body += {"left": f'<div style="display:flex;margin:.7em 0"><span style="width:10em">{star}</span>{tag}</div>',
                     "right aligned": f'<div style="display:flex;gap:.8em;margin:.7em 0"><span style="width:12em;text-align:right">{star}</span>{tag}</div>',
                     "inside": f'<div style="margin:.8em 0">{tag}</div>'}.get(style, f'<div style="margin:.9em 0"><div style="margin-bottom:.2em">{star}</div>{tag}</div>')
            p.ask(rng.choice([f'field "{name}"', f"the {name} field", f"field {name}", f'the "{name}" field', f"the field {name}"]), key, target=name, form=style + (mark if style != "inside" else ""), of="own")
        if style == "two columns":
            body = f'<div class="grid" style="grid-template-columns:20em 20em">{body}</div>'
        p.body = f'<div class="main"><h1>Registration</h1>{body}<p>{c("Continue", "button", "pri")}{c("Back", "button")}</p></div>'
        gone = [x for x in FIELDS if x not in names]
        fake = nears(rng, names, [], 5)
        absences(p, [f"the {x} field" for x in rng.sample(gone, 7)], [f"the {x} field" for x in fake] + ["the Continue field", "the Registration field"])
        p.name = f"labels {style}, {p.font}"
        out.append(p)
    return out


OPTIONS = """I agree|Keep me informed|Remember this computer|Dark mode|Automatic updates|Send statistics|Show line numbers|Beep on errors|Use metric units|Pause on battery
Monthly|Weekly|Never|Express delivery|Gift wrapping|Invoice by post|Private listing|Large print|Vegetarian|Window seat|Left-handed|Read receipts|Compact view|Spell check
Metered connection|Location access|Airplane mode|Night light|Sticky keys|Loud alarm""".replace("\n", "|").split("|")


def checkboxes(rng):
    out = []
    css = """.sw{display:inline-block;width:2.6em;height:1.3em;border-radius:1em;background:#bbb;position:relative;vertical-align:middle}.sw b{position:absolute;width:1.1em;height:1.1em;
    border-radius:1em;background:#fff;top:.1em;left:.1em}.sw.on{background:#2a7de1}.sw.on b{left:1.4em}"""
    for i in range(6):
        p = Page("checkboxes", rng, font=FONTS[i % 4], px=[14, 13, 15, 12][i % 4], css=css + (DARK if i == 4 else ""), pool=OPTIONS)
        names = rng.sample(OPTIONS, 13)
        body, said = "", []
        for k, name in enumerate(names):
            kind = ["checkbox", "radio button", "switch"][0 if k < 5 else 1 if k < 9 else 2]
            inner, key = p.mark(name)
            mark = p.key()
            on = rng.random() < .4
            if kind == "switch":
                shape = f'<span class="sw{" on" if on else ""}" data-k="{mark}"><b></b></span>'
                line = f"{inner} &nbsp; {shape}" if rng.random() < .4 else f"{shape} {inner}"
            else:
                shape = f'<input type="{kind.split(" ")[0]}" name="{"r" if kind != "checkbox" else mark}" data-k="{mark}" {"checked" if on else ""}>'
                line = f"{inner} {shape}" if i == 3 else f"{shape} {inner}"
            body += ("<h2>" + ["Consent", "Frequency", "Device"][[0, 5, 9].index(k)] + "</h2>" if k in (0, 5, 9) else "") + f'<div style="margin:.6em 0">{line}</div>'
            p.ask(rng.choice([f"{kind} {name}", f'the "{name}" {kind}', f"the {name} {kind}", f'{kind} "{name}"']), key, target=name, form=kind, of=[key, mark])
        p.body = f'<div class="main">{body}<p>{c("Continue", "button", "pri")}</p></div>'
        gone = [x for x in OPTIONS if x not in names]
        fake = nears(rng, names, OPTIONS, 7)
        absences(p, [f"checkbox {x}" for x in rng.sample(gone, 7)], [f"the {x} {k}" for x, k in zip(fake, ["checkbox"] * 5 + ["radio button"] * 2)])
        p.name = f"options, {p.font}"
        out.append(p)
    return out


SHAPES = {
    "folder": "M2 5h7l2 3h11v12H2z", "star": "M12 2l3 7h7l-6 4 3 8-7-5-7 5 3-8-6-4h7z", "trash": "M5 7h14l-1 15H6zM3 4h6l1-2h4l1 2h6v2H3z", "play": "M5 3l15 9-15 9z",
    "bell": "M12 2a6 6 0 0 1 6 6c0 7 3 8 3 10H3c0-2 3-3 3-10a6 6 0 0 1 6-6zM10 20h4l-2 2z", "heart": "M12 21C4 14 2 11 2 8a5 5 0 0 1 10-1 5 5 0 0 1 10 1c0 3-2 6-10 13z",
    "up": "M12 3l9 10h-6v8H9v-8H3z", "house": "M12 3l10 9h-3v9h-5v-6h-4v6H5v-9H2z", "tag": "M2 2h9l11 11-9 9L2 11zM7 5a2 2 0 1 0 .1 0z", "flag": "M4 2h2v20H4zM7 3h13l-3 5 3 5H7z",
    "plus": "M10 3h4v7h7v4h-7v7h-4v-7H3v-4h7z", "dots": "M3 10h4v4H3zM10 10h4v4h-4zM17 10h4v4h-4z"}


def icon(p, size, color="#444"):
    key = p.key()
    path = SHAPES[p.rng.choice(list(SHAPES))]
    return f'<svg data-k="{key}" width="{size}" height="{size}" viewBox="0 0 24 24" fill="{color}" fill-rule="evenodd" style="flex:none"><rect width="24" height="24" fill="transparent"/><path d="{path}"/></svg>', key


def icons_beside(rng):
    out = []
    names = [x for x in ENGLISH if " " not in x]
    for i in range(6):
        p = Page("icons_beside", rng, font=FONTS[i % 4], px=[14, 13, 15, 12][i % 4], css=DARK if i == 3 else "")
        labels, body = pick(rng, names, 12), ""
        for k, name in enumerate(labels):
            shape, key = icon(p, rng.choice([16, 20, 24]), "#ddd" if i == 3 else rng.choice(["#444", "#1a5fb4", "#b03030"]))
            right = (k >= 6) != (i % 2 == 1)
            line = f"<span>{name}</span>{shape}" if right else f"{shape}<span>{name}</span>"
            body += f'<div style="display:flex;gap:.7em;align-items:center;padding:.45em">{line}</div>'
            side = "right" if right else "left"
            p.ask(rng.choice([f"the icon next to {name}", f"icon next to {name}", f'the icon next to "{name}"', f"the icon {side} of {name}", f"the icon beside {name}"]), key, target=None, form=side, of="own")
        p.body = f'<div class="main"><p>{p.say(1)}</p><div class="grid" style="grid-template-columns:16em 16em;gap:1.2em 6em">{body}</div></div>'
        gone = [x for x in pick(rng, names, 60) if x not in labels]
        fake = nears(rng, labels, [], 7)
        absences(p, [f"the icon next to {x}" for x in gone[:7]], [f"the icon next to {x}" for x in fake])
        p.name = f"list, {p.font}"
        out.append(p)
    return out


def echo(rng):
    out = []
    for i in range(14):
        p = Page("echo", rng, font=FONTS[i % 4], px=[14, 13, 15, 12][i % 4])
        w = rng.sample(WORDS, 5)
        said = [rng.choice([f"click the {x} button", f"click {x}", f"press the {x} button", f"Click the {x} button", f"the {x} button"]) for x in w]
        buttons = ""
        for x, s in zip(w, said):
            inner, key = p.mark(x)
            buttons += c(inner, "button", rng.choice(["", "pri"]))
            p.ask(s, key, target=x, form="echoed")
        lines = rng.sample(said, 5)
        if i % 3 == 0:
            log = "".join(f'<div style="background:#dbeafe;border-radius:10px;padding:.5em 1em;margin:.4em 0 .4em 8em">{s}</div><div style="background:#eee;border-radius:10px;padding:.5em 1em;margin:.4em 8em .4em 0">{rng.choice(["Done, what next?", "I am looking at the page.", "One moment please."])}</div>' for s in lines)
            log = f'<div style="width:34em">{log}</div>'
        elif i % 3 == 1:
            log = '<div style="background:#111;color:#d0f0d0;font-family:DejaVu Sans Mono;padding:1em;width:46em">' + "".join(f"<div>$ agent --task '{s}'</div><div>step {k + 1}: waiting</div>" for k, s in enumerate(lines)) + "</div>"
        else:
            log = '<div class="card" style="width:34em"><h2>Tasks</h2>' + "".join(f"<div>{k + 1}. {s}</div>" for k, s in enumerate(lines)) + "</div>"
        first, second = (f"<p>{buttons}</p>", log)
        p.body = f'<div class="main"><h1>Workbench</h1>{second + first if i % 2 else first + second}<p>{p.say(1)}</p></div>'
        others = [x for x in WORDS if x not in w]
        absences(p, [f"click the {x} button" for x in rng.sample(others, 7)], [f"click the {x} button" for x in nears(rng, w, [], 7)])
        p.name = f"{['chat', 'terminal', 'tasks'][i % 3]}, {p.font}"
        out.append(p)
    return out


def list_and_title(rng):
    out = []
    names = [x for x in ENGLISH if len(x) < 16]
    for i in range(13):
        p = Page("list_and_title", rng, font=FONTS[i % 4], px=[14, 13, 15, 12][i % 4], css=DARK if i == 6 else "")
        labels = pick(rng, names, 9)
        titled = rng.sample(labels, 4)
        linked = i % 2
        side, parts = "", ""
        for name in labels:
            inner, key = p.mark(name)
            side += f'<div class="nav"><a href="#">{inner}</a></div>' if linked else c(inner, "button", "", 'style="width:13em;text-align:left;display:block"')
            if name in titled[:3] or (name in titled and not linked):
                p.ask(rng.choice([f"click {name}", f"the {name} {'link' if linked else 'button'}", f'click on "{name}"', f"open {name}"]), key, target=name, form="also a title")
            elif rng.random() < .5:
                p.ask(f"click {name}", key, target=name, form="no title", alone=name)
        for k, name in enumerate(titled):
            parts += f"<{'h1' if k == 0 else 'h2'}>{name}</{'h1' if k == 0 else 'h2'}><p>{p.say(2)}</p>"
        p.body = f'<div class="cols"><div class="side" style="width:16em;height:90em">{side}</div><div class="main">{parts}</div></div>'
        gone = [x for x in pick(rng, names, 60) if x not in labels]
        absences(p, [f"click {x}" for x in gone[:7]], [f"click {x}" for x in nears(rng, labels, [], 7)])
        p.name = f"{'links' if linked else 'buttons'} and headings, {p.font}"
        out.append(p)
    return out


HINTS = """Search messages|Find a recipe|Type a message|Enter your coupon|Filter by name|Add a comment|Your e-mail here|Street and number|Choose a nickname|Paste a link
Where to?|Describe the problem|Say something nice|Ticket number|Name of the pet|Amount in euros|Favourite colour|Look up a word|Start typing|Jump to page
Invite by telephone|Tell us more|Serial number|Write a headline|Any allergies|Pick a username|From which station|Track your parcel|Add labels|Quick note""".replace("\n", "|").split("|")


def placeholders(rng):
    out = []
    for i in range(7):
        p = Page("placeholders", rng, font=FONTS[i % 4], px=[14, 13, 15, 12][i % 4], css=DARK if i == 5 else "", pool=HINTS)
        names = pick(rng, HINTS, 10)
        cells = []
        for name in names:
            key = p.key()
            w = rng.choice([13, 17, 20])
            style = f'style="width:{w}em;{"border-radius:1.5em;padding:.5em 1em" if rng.random() < .3 else ""}"'
            cells.append(f'<input class="f" {style} data-k="{key}" placeholder="{esc(name)}">' if rng.random() < .8 else f'<textarea class="f" {style} rows="3" data-k="{key}" placeholder="{esc(name)}"></textarea>')
            said, form = rng.choice([(name, "exact"), (name, "exact"), (f'the field "{name}"', "field"), (f'field "{name}"', "field")])
            p.ask(said, key, target=name, form=form, of="own", alone=name)
        grid(p, cells, 3, "2.4em 1em")
        p.name = f"fields, {p.font}"
        out.append(p)
    return out


def badges(rng):
    out = []
    css = ".bd{background:#c01c28;color:#fff;border-radius:1em;padding:.05em .55em;font-size:.85em}.bd.g{background:#77767b}.bd.b{background:#1a5fb4}"
    for i in range(5):
        p = Page("badges", rng, font=FONTS[i % 4], px=[14, 13, 15, 12, 16][i], css=css + (DARK if i == 3 else ""))
        names = pick(rng, [x for x in ENGLISH if len(x) < 14], 12)
        values = [str(x) for x in rng.sample(range(2, 99), 9)] + rng.sample(["NEW", "BETA", "PRO", "99+", "SALE", "HOT", "DRAFT"], 3)
        rng.shuffle(values)
        cells = []
        for name, value in zip(names, values):
            inner, key = p.mark(name)
            badge = p.key()
            cells.append(f'<div data-c class="card" style="display:flex;justify-content:space-between;width:15em">{inner}<span class="bd {rng.choice(["", "g", "b"])}" data-k="{badge}">{value}</span></div>')
            p.ask(name, key, target=name, alone=name, form="the label")
            if rng.random() < .6:
                p.ask(rng.choice([f"the badge next to {name}", f"the badge beside {name}", f"the badge right of {name}"]), badge, target=value, of="own", form="the badge")
        grid(p, cells, 3, "1.6em 1em")
        p.name = f"items, {p.font}"
        out.append(p)
    return out


CONDITIONS = {
    "8px": reading("8px", px=8, fonts=SANS + MONO), "9px": reading("9px", px=9), "10px": reading("10px", px=10),
    "ratio15": reading("ratio15", ratio=1.5, size=(1024, 700), px=lambda r, i: [14, 12, 13, 11][i]),
    "ratio2": reading("ratio2", ratio=2, size=(960, 640), px=lambda r, i: [13, 12, 14, 11][i]),
    "4k": spread, "dark": reading("dark", css=DARK, px=lambda r, i: [14, 12, 13, 16][i]),
    "low_contrast": reading("low_contrast", css=lambda r, i: FAINT if i % 4 != 2 else FAINT_DARK, px=lambda r, i: [14, 13, 12, 16][i]),
    "selected": selected, "greyed": greyed, "access_keys": access_keys, "single_characters": single_characters,
    "accents": language("accents", "pl", "cs", "fr", "de", "tr", bare=True),
    "vietnamese": language("vietnamese", "vi", bare=True),
    "cyrillic": language("cyrillic", "ru", "uk", pages=4), "greek": language("greek", "el", pages=5),
    "cjk": language("cjk", "zh", "ja", pages=6, fonts={"zh": ["Noto Sans CJK SC", "Noto Serif CJK SC", "Noto Sans CJK SC"], "ja": ["Noto Sans CJK JP", "Noto Serif CJK JP"]}),
    "numbers": numbers, "bold": reading("bold", css="body,button{font-weight:bold}"), "italic": reading("italic", css="body,button{font-style:italic}", px=lambda r, i: [14, 13, 15, 12][i]),
    "mono": reading("mono", fonts=MONO, px=lambda r, i: [13, 12, 14, 11][i]), "links": links, "words_inside_a_line": words_inside_a_line, "wrapped": wrapped, "cut_off": cut_off,
    "tight_rows": tight_rows, "kinds": kinds, "ordinals": ordinals, "rows": rows, "below_above": below_above, "fields": fields, "checkboxes": checkboxes,
    "icons_beside": icons_beside, "echo": echo, "list_and_title": list_and_title, "placeholders": placeholders, "badges": badges,
    "case_punctuation": pairs("case_punctuation", PAIRS, 5), "quotes": pairs("quotes", QUOTES, 5, form="other quotes", n=15),
    "ligatures": pairs("ligatures", LIGATURES, 5, fonts=["DejaVu Serif", "Liberation Serif", "DejaVu Sans", "Liberation Sans"], form="ligature character"), "emoji": emoji, "over_a_picture": over_a_picture,
}


# ----------------------------------------------------------------------------------------------------------- decoys

# Each word has lookalikes with at least one letter that a person tells apart, and words that only contain it.
TEMPTING = {
    "Save": (["Ѕаvэ", "5аve", "Saѵэ"], ["Autosave", "Saved", "Don’t save"]),
    "Delete": (["Dэlеtе", "Dеlэtе", "Dеlеtэ"], ["Undelete", "Deleted items", "Don’t delete"]),
    "Download": (["Dошnlоаd", "Dоwиlоаd", "Dошиload"], ["Downloaded", "Downloader", "Downloads"]),
    "Send": (["Sэnd", "Sеиd", "Sэиd"], ["Resend code", "Sender", "Don’t send"]),
    "Publish": (["Рцblіѕh", "Рublіѕн", "РцЬlish"], ["Unpublish", "Published", "Publisher"]),
    "Export": (["Эхроrt", "Ёхроrt", "Expoят"], ["Exported", "Exporter", "Import"]),
    "Install": (["Iиstall", "Iиѕtаll", "Inѕtдll"], ["Uninstall", "Installed", "Reinstall"]),
    "Continue": (["Cоиtinuе", "Contiиue", "Continцe"], ["Discontinued", "Don’t continue", "Continuum"]),
    "Accept": (["Accэpt", "Дccept", "Ассэрt"], ["Accepted", "Don’t accept", "Acceptance"]),
    "Subscribe": (["5ubscribe", "Subscribэ", "Sцbscribe"], ["Unsubscribe", "Subscribed", "Subscribers"]),
}


def drawn(rng, word, w, h, inside, dark=False):
    """A picture with a button in it, as a data URL."""
    back, ink = ("#2b2f3a", "#fff") if dark else (rng.choice(["#fdf2d0", "#e7f0e4", "#e3e9f5"]), "#222")
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" font-family="DejaVu Sans"><rect width="{w}" height="{h}" fill="{back}"/>{inside}'
           f'<rect x="{w / 2 - 75}" y="{h - 62}" width="150" height="38" rx="5" fill="#1a5fb4"/><text x="{w / 2}" y="{h - 37}" font-size="17" text-anchor="middle" fill="#fff">{word}</text></svg>')
    return "data:image/svg+xml;base64," + base64.b64encode(svg.replace("INK", ink).encode()).decode()


def tempt(kind, rng, p, word):
    """The HTML of what must not be clicked, and the keys of its parts."""
    low = word.lower()

    def m(text, attrs=""):
        inner, key = p.mark(text, attrs=attrs)
        keys.append(key)
        return inner
    keys = []
    who = rng.choice(NAMES)
    if kind == "mail":
        lines = rng.choice([f"please press {m(word)} when you have read the minutes.", f"the button {m(word)} did nothing yesterday, so I gave up.", f"remember to choose {m(word)} before Friday."])
        body = f'<div class="card" style="width:40em"><div class=dim>From: {who}</div><h2>Minutes of Tuesday</h2><p>Dear all,</p><p>{lines}</p><p>{p.say(2)}</p><p>Regards</p></div>'
    elif kind == "comment":
        body = (f'<h2>2 comments</h2><div class="card" style="width:36em;margin:.5em 0"><b>{who}</b> <span class=dim>3 days ago</span><p><b>{m(word)}</b> is broken for me since the move.</p></div>'
                f'<div class="card" style="width:36em"><b>{rng.choice(NAMES)}</b> <span class=dim>1 day ago</span><p>I never use {m(low)}, it is too slow.</p></div>')
    elif kind == "prose":
        body = rng.choice([f"<p>{p.say(1)} Click the {m(word)} button to keep your work. {p.say(1)}</p>", f"<h2>Step 4</h2><p>Then click the {m(word)} button. {p.say(1)}</p>",
                           f"<p>{p.say(1)} The {m(word)} button appears once both signatures are there.</p>"])
    elif kind == "figure":
        key = p.key()
        keys.append(key)
        inside = f'<rect x="10" y="10" width="340" height="24" fill="#888"/><text x="20" y="28" font-size="14" fill="#fff">Window of 2009</text><text x="20" y="70" font-size="13" fill="INK">Do you want to go on?</text>'
        body = (f'<div style="width:42em"><p>{p.say(2)}</p><div style="border:1px solid #bbb;padding:10px;width:384px"><img data-k="{key}" width="360" height="180" src="{drawn(rng, word, 360, 180, inside)}">'
                f'<div class=dim style="margin-top:6px">Figure {rng.randrange(2, 9)}. A window of the program as it looked in 2009.</div></div><p>{p.say(2)}</p></div>')
    elif kind == "advertisement":
        key = p.key()
        keys.append(key)
        inside = '<text x="20" y="45" font-size="24" fill="INK">FASTER PC in one minute!</text><text x="20" y="80" font-size="15" fill="INK">Nine of ten experts were surprised.</text>'
        body = f'<div style="display:inline-block;margin:1em 0"><div class=dim style="font-size:11px">ADVERTISEMENT</div><img data-k="{key}" width="420" height="190" src="{drawn(rng, word, 420, 190, inside, rng.random() < .5)}"></div>'
    elif kind == "homoglyphs":
        body = f'<p>{p.say(1)}</p>{c(m(rng.choice(TEMPTING[word][0])), "button")}'
    elif kind == "invisible":
        base = rng.randrange(236, 255)
        other = base + rng.choice([-2, -1, 1])
        color, back = f"rgb({other},{other},{other})", f"rgb({base},{base},{base})"
        body = f'<div style="background:{back};padding:1em;width:36em"><p>{p.say(1)}</p><span class="btn" style="background:{back};border-color:{back};color:{color}">{m(word)}</span></div>'
    elif kind == "placeholder":
        key = p.key()
        keys.append(key)
        body = f'<p>{p.say(1)}</p><div style="margin:.8em 0">Look up a command</div><input class="f" data-k="{key}" placeholder="{word}">'
    elif kind == "disabled":
        body = f'<div class="card" style="width:34em"><h2>Profile of {who}</h2><p>{p.say(1)}</p><button disabled style="color:#a5a5a5;background:#f6f6f6;border-color:#ddd">{m(word)}</button></div>'
    elif kind == "struck":
        body = (f'<div class="card" style="width:26em"><h2>What is left to do</h2><div style="margin:.4em">Water the plants</div><div style="margin:.4em;text-decoration:line-through" class=dim>{m(word)}</div>'
                f'<div style="margin:.4em">Call {who}</div></div>')
    elif kind == "heading":
        body = f"<h1>{m(word)}</h1><p>{p.say(3)}</p><h2>Background</h2><p>{p.say(2)}</p>"
    elif kind == "echoed":
        body = (f'<div style="width:34em"><div style="background:#dbeafe;border-radius:10px;padding:.5em 1em;margin:.4em 0 .4em 8em">click the {m(word)} button</div>'
                f'<div style="background:#eee;border-radius:10px;padding:.5em 1em;margin:.4em 8em .4em 0">Which one do you mean by {m(word)}?</div></div>')
    elif kind == "containing":
        body = f"<p>{p.say(1)}</p>" + "".join(c(m(x), "button") for x in rng.sample(TEMPTING[word][1], 3))
    else:  # shortcuts
        rows = "".join(f"<tr><td>{x}<td>{k}" for x, k in [("Undo", "Ctrl+Z"), (m(word), "Ctrl+" + word[0]), ("Next tab", "Ctrl+Tab")])
        body = f"<h2>Keyboard shortcuts</h2><table><tr><th>Command<th>Keys{rows}</table>"
    return body, keys


def decoy(kind, n, n_true):
    """n pages with decoys of a kind; on the first n_true of them the true control stands too."""
    def make(rng):
        out = []
        words = rng.sample(list(TEMPTING), len(TEMPTING))
        for i in range(n):
            word, true = words[i % len(words)], i < n_true
            p = Page(kind, rng, font=FONTS[(i + len(kind)) % 4], px=rng.choice([14, 15, 16]), css=rng.choice(["", "", ".bar{background:#dfe7f3}", ".main{padding-left:5em}"]))
            body, keys = tempt(kind, rng, p, word)
            rest = [x for x in ("Back", "Help", "Print", "Reload", "Zoom") if x.lower() not in word.lower()]
            buttons = [c(x, "button") for x in rng.sample(rest, 2)]
            key = None
            if true:
                inner, key = p.mark(word)
                buttons.insert(rng.randrange(3), c(inner, "button", rng.choice(["", "pri"])))
            row = f'<div class="bar">{"".join(buttons)}</div>'
            top = rng.random() < .5
            p.body = (row if top else "") + f'<div class="main">{body}</div>' + ("" if top else f'<div class="main">{"".join(buttons)}</div>')
            p.ask(rng.choice([f"the {word} button", f"click the {word} button", f'the "{word}" button']), key, target=word if true else None, form="beside" if true else "alone",
                  expect="box" if true else "absent", decoys=keys)
            others = [x for x in TEMPTING if x != word]
            absences(p, [f"the {x} button" for x in rng.sample(others, 7)], [f"the {x} button" for x in nears(rng, [word], [], 7)])
            p.name = f"{kind}, {'beside the true one' if true else 'alone'}, {p.font}"
            out.append(p)
        return out
    return make


# An advertisement alone is left out, because its button is a button too.
DECOYS = {kind: decoy(kind, n, true) for kind, n, true in [
    ("mail", 8, 4), ("comment", 7, 3), ("prose", 8, 4), ("figure", 7, 4), ("advertisement", 5, 5), ("homoglyphs", 8, 4), ("invisible", 8, 4), ("placeholder", 7, 3),
    ("disabled", 8, 4), ("struck", 7, 3), ("heading", 7, 3), ("echoed", 7, 4), ("containing", 8, 4), ("shortcuts", 5, 2)]}


# ------------------------------------------------------------------------------------------------------- rendering

COLLECT = r"""
const out = {}, W = innerWidth, H = innerHeight;
const flat = r => [r.left, r.top, r.right, r.bottom];
for (const e of document.querySelectorAll('[data-k]')) {
  const lines = [];
  const range = document.createRange();
  const walker = document.createTreeWalker(e, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    range.selectNodeContents(walker.currentNode);
    for (const r of range.getClientRects()) {
      if (r.width < .5) continue;
      const l = lines.find(l => Math.min(l[3], r.bottom) - Math.max(l[1], r.top) > r.height / 2);
      if (l) { l[0] = Math.min(l[0], r.left); l[1] = Math.min(l[1], r.top); l[2] = Math.max(l[2], r.right); l[3] = Math.max(l[3], r.bottom); }
      else lines.push(flat(r));
    }
  }
  const control = e.closest('[data-c]'), own = flat(e.getBoundingClientRect());
  const inside = h => h && (h === e || e.contains(h) || (control && control.contains(h)));
  let seen = true;
  for (const [a, b, c, d] of lines.length ? lines : [own])
    for (const x of [a + 1.5, (a + c) / 2, c - 1.5]) {
      const y = (b + d) / 2;
      if (x < 0 || y < 0 || x >= W || y >= H || b < 0 || d > H || !inside(document.elementFromPoint(x, y))) seen = false;
    }
  const box = control ? flat(control.getBoundingClientRect()) : null;
  if (box && (box[0] < 0 || box[1] < 0 || box[2] > W || box[3] > H)) seen = false;
  out[e.dataset.k] = {lines, own, control: box, seen};
}
let text = document.body.innerText;
for (const e of document.querySelectorAll('input,textarea')) text += '\n' + (e.value && e.type !== 'checkbox' && e.type !== 'radio' ? e.value : e.placeholder || '');
return [out, text];
"""


def browser(options_of):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    options.binary_location = options_of.browser
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb", "--font-render-hinting=none"):
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=Service(options_of.driver))


def render(driver, page, path, folder):
    """Draws the page into `path`; returns its marked elements and its text."""
    w, h = page.size
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", dict(width=w, height=h, deviceScaleFactor=page.ratio, mobile=False))
    source = pathlib.Path(folder, "page.html")
    source.write_text(page.html(), encoding="utf-8")
    driver.get(source.as_uri())
    driver.execute_async_script("const done = arguments[0]; document.fonts.ready.then(() => requestAnimationFrame(() => requestAnimationFrame(done)))")
    marked, text = driver.execute_script(COLLECT)
    png = base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", dict(format="png"))["data"])
    path.write_bytes(png)
    size = Image.open(io.BytesIO(png)).size
    assert size == (round(w * page.ratio), round(h * page.ratio)), (size, page.group)
    return marked, text


def resolve(ask, marked):
    """The boxes of an ask in CSS pixels."""
    m, of = marked[ask["key"]], ask["of"]
    if isinstance(of, list):
        parts = [marked[k]["lines"][0] if marked[k]["lines"] else marked[k]["own"] for k in of]
        return [[f(b[i] for b in parts) for i, f in enumerate([min, min, max, max])]]
    if of == "own" or not m["lines"]:
        return [m["own"]]
    if of == "text" or not m["control"]:
        return m["lines"]
    if of == "lines":
        return m["lines"] + [m["control"]]
    return [m["control"]]


def letters(text):
    """The words alone, for instructions that differ from their text in case and punctuation."""
    return " ".join(words_of(unicodedata.normalize("NFKD", text)))


def finish(page, marked, text, n_asks, rng):
    """The asks that a person can answer, and the texts that are not there."""
    shown, bare = norm(text), norm(plain(text))
    asks, seen, dropped = [], set(), 0
    for a in page.asks:
        if a["form"] in ("loose", "other quotes", "ligature character") and count(letters(a["instruction"]), letters(text)) > 1:
            dropped += 1
            continue
        unique = a["alone"] is None or (count(plain(a["instruction"]), bare) == 1 if a["form"] == "without accents" else count(a["alone"], shown) == 1)
        boxes = [] if a["expect"] == "absent" else resolve(a, marked)
        if (boxes and not marked[a["key"]]["seen"]) or not unique or a["instruction"] in seen or (page.group == "wrapped" and len(marked[a["key"]]["lines"]) != 2):
            dropped += 1
            continue
        seen.add(a["instruction"])
        scaled = [[round(v * page.ratio, 1) for v in b] for b in boxes]
        ask = dict(instruction=a["instruction"], kind=page.group, form=a["form"])
        if a["target"]:
            ask["target"] = a["target"]
        if a["expect"]:
            ask["expect"] = a["expect"]
            ask["decoy_boxes"] = [[round(v * page.ratio, 1) for v in b] for k in a["decoys"] if k in marked for b in (marked[k]["lines"] or [marked[k]["own"]])]
        if scaled:
            ask["box"] = scaled[0]
        if len(scaled) > 1:
            ask["boxes"] = scaled
        asks.append(ask)
    if n_asks and len(asks) > n_asks:
        keep = set(rng.sample(range(len(asks)), n_asks))
        asks = [a for i, a in enumerate(asks) if i in keep]
    absent = [x for x in page.absent if norm(x["text"]) not in shown and x["text"] not in seen]
    if page.n_absent:
        targets = getattr(page, "near_of", None) or [a["target"] for a in page.asks if a["target"]]
        for _ in range(200):
            if sum(x["kind"] == "near" for x in absent) >= page.n_absent:
                break
            new = near(rng, rng.choice(targets), page.pool)
            if new and norm(plain(new)) not in bare and not any(norm(new) == norm(x["text"]) for x in absent):
                absent.append(dict(text=new, kind="near"))
        have = set(words_of(text))
        wide = any(ord(x) > 0x2E80 for x in "".join(page.pool))
        for new in rng.sample(page.pool, len(page.pool)):
            if sum(x["kind"] == "foreign" for x in absent) >= page.n_absent:
                break
            if norm(new) not in shown and (wide or not have & {w for w in words_of(new) if len(w) > 2}) and not any(norm(new) == norm(x["text"]) for x in absent):
                absent.append(dict(text=new, kind="foreign"))
    return asks, absent, dropped


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(CONDITIONS) + list(DECOYS))
    parser.add_argument("--decoys", action="store_true")
    parser.add_argument("--html", action="store_true", help="keep each page beside its picture")
    parser.add_argument("--browser", default=shutil.which("chromium"))
    parser.add_argument("--driver", default=shutil.which("chromedriver"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    made = {k: v for k, v in (DECOYS if options.decoys else CONDITIONS).items() if not options.only or k in options.only}
    driver, pages = browser(options), []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for group, make in made.items():
                n, gone = 0, 0
                for page in make(random.Random(f"{options.seed} {group}")):
                    name = f"{len(pages):03}.png"
                    marked, text = render(driver, page, options.out / name, folder)
                    if options.html:
                        shutil.copy(pathlib.Path(folder) / "page.html", options.out / f"{len(pages):03}.html")
                    rng = random.Random(f"{options.seed} {page.name} {len(pages) if options.decoys else n}")
                    asks, absent, dropped = finish(page, marked, text, 0 if options.decoys else 20, rng)
                    w, h = (round(v * page.ratio) for v in page.size)
                    pages.append(dict(file=name, name=page.name, group="decoys" if options.decoys else group, w=w, h=h, ratio=page.ratio, labels=[], absent=absent, asks=asks))
                    n, gone = n + len(asks), gone + dropped
                print(f"{group}: {n} asks, {gone} dropped", flush=True)
    finally:
        driver.quit()
    (options.out / "pages.json").write_text(json.dumps(pages, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    asks = [a for p in pages for a in p["asks"]]
    print(f"{len(pages)} pages, {len(asks)} asks, {sum(len(p['absent']) for p in pages)} absent texts")


if __name__ == "__main__":
    main()
