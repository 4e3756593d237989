#!/usr/bin/env python3
"""Screenshots of real applications, each with asks whose right answer is known (see README.md).

Invariants: every application lives in a temporary folder and ends with this program; one that fails is reported and
takes no other with it; what is asked of a screenshot is decided by rule.py alone.

    applications.py install HOME [--only NAME ...]
    applications.py photograph HOME OUT [--only NAME ...]
    applications.py draw OUT
"""

import argparse
import contextlib
import gzip
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
import urllib.request
import zlib

import rule

SEED = 20240


class Work:
    """What one application is given: a folder, ports, processes that end with it, and a browser."""

    def __init__(self, name, home, folder, chromium):
        self.name, self.home, self.folder, self.chromium = name, home, folder, chromium
        self.processes, self.shots, self.refused = [], [], None

    def python(self, environment, program="python"):
        return os.path.join(self.home, environment, "bin", program)

    def node(self, package, *inside):
        return os.path.join(self.home, "npm", package, "node_modules", *inside)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(textwrap.dedent(text).lstrip("\n"))
        return self.path(name)

    def port(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return free.getsockname()[1]

    def once(self, *command, **more):
        more.setdefault("cwd", self.folder)
        env = {**os.environ, "HOME": self.folder, **more.pop("env", {})}
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, **more)
        if done.returncode:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout[-1500:]}")
        return done.stdout

    def serve(self, *command, ready, env=None, cwd=None, seconds=180):
        log = open(self.path(f"server{len(self.processes)}.log"), "wb")
        process = subprocess.Popen(command, cwd=cwd or self.folder, env={**os.environ, "HOME": self.folder, **(env or {})},
                                   stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        self.processes.append(process)
        until = time.monotonic() + seconds
        while True:
            try:
                urllib.request.urlopen(ready, timeout=5).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    with open(log.name, encoding="utf-8", errors="replace") as text:
                        raise RuntimeError(f"{command[0]} does not answer: {text.read()[-1500:]}")
                time.sleep(0.3)

    def fetch(self, address, data=None, headers=None):
        body = json.dumps(data).encode() if data is not None else None
        with urllib.request.urlopen(urllib.request.Request(address, body, {"Content-Type": "application/json", **(headers or {})}), timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def end(self):
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def window(self, ratio=1, dark=False, size=(1280, 800), state=None):
        context = self.chromium.new_context(viewport={"width": size[0], "height": size[1]}, device_scale_factor=ratio,
                                            color_scheme="dark" if dark else "light", locale="en-US", storage_state=state, reduced_motion="reduce")
        page = context.new_page()
        page.set_default_timeout(30000)
        page.on("response", lambda answer: self.answered(page, answer))
        return page

    def answered(self, page, answer):
        if answer.request.is_navigation_request() and answer.frame == page.main_frame:
            self.refused = answer.status if answer.status >= 400 else None

    def shot(self, page, name, dark=False, settle=0.6):
        """A screenshot, with what the browser says of the very same picture."""
        from PIL import Image

        if self.refused:
            raise RuntimeError(f"the page answered {self.refused}")
        page.mouse.move(-5, -5)  # Out of the window: nothing is hovered.
        cdp = page.context.new_cdp_session(page)
        for attempt in range(4):
            time.sleep(settle)
            before = rule.observe(page, cdp)
            png = page.screenshot(animations="disabled", caret="hide")
            after = rule.observe(page, cdp)
            if [(t["text"], t["box"]) for t in before["texts"]] == [(t["text"], t["box"]) for t in after["texts"]]:
                break
        else:
            print(f"  {self.name}: {name} does not stand still, left out", flush=True)
            return
        cdp.detach()
        picture = Image.open(io.BytesIO(png))
        self.shots.append({"png": png, "seen": before, "name": name, "group": self.name, "w": picture.width, "h": picture.height, "ratio": before["ratio"], "dark": dark})
        print(f"  {self.name}: {name}, {picture.width}x{picture.height}, {sum(t['shown'] for t in before['texts'])} texts", flush=True)

    def attempt(self, name, act):
        """One page of an application; its failure costs that page only."""
        try:
            act()
        except Exception as error:
            print(f"  {self.name}: {name} failed: {str(error).splitlines()[0][:300]}", flush=True)


def count(asks):
    kinds = {}
    for ask in asks:
        kinds[ask["kind"]] = kinds.get(ask["kind"], 0) + 1
    return kinds


APPLICATIONS = {}


def application(venv=None, pip=(), npm=(), debian=()):
    """Registers how an application is installed; the function opens and photographs it."""
    def keep(function):
        APPLICATIONS[function.__name__] = {"run": function, "venv": venv, "pip": pip, "npm": npm, "debian": debian}
        return function
    return keep


# Django's admin

DJANGO_MODELS = '''
    from django.db import models

    class Supplier(models.Model):
        name = models.CharField(max_length=80)
        city = models.CharField(max_length=80, blank=True)
        contact_email = models.EmailField(blank=True)
        telephone = models.CharField(max_length=40, blank=True)
        tax_number = models.CharField("Tax number", max_length=30, blank=True)
        preferred = models.BooleanField(default=False)
        accepts_returns = models.BooleanField(default=True)
        def __str__(self): return self.name

    class Article(models.Model):
        title = models.CharField(max_length=120)
        slug = models.SlugField(blank=True)
        summary = models.TextField(blank=True)
        supplier = models.ForeignKey(Supplier, models.CASCADE)
        price = models.DecimalField(max_digits=8, decimal_places=2)
        weight = models.FloatField("Weight in kg", default=1)
        stock = models.IntegerField("In stock", default=0)
        colour = models.CharField(max_length=10, choices=[(c, c.title()) for c in ("red", "green", "blue", "black")], default="red")
        available_from = models.DateField(null=True, blank=True)
        visible = models.BooleanField("Visible in the shop", default=True)
        gift_wrap = models.BooleanField("Offer gift wrapping", default=False)
        fragile = models.BooleanField(default=False)
        notify = models.BooleanField("Notify the warehouse", default=False)
        def __str__(self): return self.title

    class Order(models.Model):
        number = models.CharField("Order number", max_length=20)
        customer = models.CharField(max_length=80)
        street = models.CharField(max_length=80, blank=True)
        postal_code = models.CharField(max_length=12, blank=True)
        town = models.CharField(max_length=80, blank=True)
        country = models.CharField(max_length=2, choices=[("DE", "Germany"), ("FR", "France"), ("PT", "Portugal")], default="DE")
        shipping = models.CharField(max_length=10, choices=[("post", "By post"), ("courier", "Courier"), ("pickup", "Collected in person")], default="post")
        remark = models.TextField("Remark for the packers", blank=True)
        paid = models.BooleanField(default=False)
        urgent = models.BooleanField(default=False)
        def __str__(self): return self.number

    class Line(models.Model):
        order = models.ForeignKey(Order, models.CASCADE)
        article = models.ForeignKey(Article, models.CASCADE)
        quantity = models.IntegerField(default=1)
'''
DJANGO_ADMIN = '''
    from django.contrib import admin
    from .models import Article, Line, Order, Supplier

    @admin.register(Supplier)
    class SupplierAdmin(admin.ModelAdmin):
        list_display = ("name", "city", "contact_email", "preferred")
        list_filter = ("preferred", "city")
        search_fields = ("name",)

    @admin.register(Article)
    class ArticleAdmin(admin.ModelAdmin):
        list_display = ("title", "supplier", "price", "stock", "colour", "visible")
        list_editable = ("price", "stock", "visible")
        list_filter = ("colour", "visible")
        search_fields = ("title",)
        fieldsets = [(None, {"fields": [("title", "slug"), "supplier", ("price", "stock", "weight")]}),
                     ("Appearance", {"fields": ["colour", ("visible", "gift_wrap"), ("fragile", "notify"), "available_from"]})]

    class LineInline(admin.TabularInline):
        model, extra = Line, 2

    @admin.register(Order)
    class OrderAdmin(admin.ModelAdmin):
        list_display = ("number", "customer", "town", "shipping", "paid", "urgent")
        list_filter = ("paid", "shipping")
        radio_fields = {"shipping": admin.VERTICAL}
        inlines = [LineInline]
'''
DJANGO_DATA = '''
    from django.contrib.auth.models import User, Group
    from shop.models import *
    User.objects.create_superuser("admin", "admin@example.com", "admin")
    for n, f, l in [("mbauer", "Marta", "Bauer"), ("jlee", "Jun", "Lee"), ("osantos", "Olga", "Santos"), ("pnovak", "Petr", "Novak"), ("rkhan", "Rania", "Khan")]:
        User.objects.create_user(n, n + "@example.com", "x", first_name=f, last_name=l, is_staff=n != "jlee")
    for g in ("Editors", "Packers", "Accountants"): Group.objects.create(name=g)
    towns = ["Porto", "Lyon", "Graz", "Bergen", "Turku"]
    s = [Supplier.objects.create(name=n, city=c, contact_email=n.split()[0].lower() + "@example.org", preferred=i % 2 == 0) for i, (n, c) in enumerate(zip(["Northwind Traders", "Oak & Sons", "Blue Harbour", "Kestrel Tools", "Lumen Glass"], towns))]
    a = [Article.objects.create(title=t, slug=t.lower().replace(" ", "-"), supplier=s[i % 5], price=5 + i * 3.25, stock=i * 7, colour=["red", "green", "blue", "black"][i % 4], visible=i % 3 != 0) for i, t in enumerate(["Desk lamp", "Oak chair", "Copper kettle", "Garden hose", "Wall clock", "Reading glasses", "Paper knife", "Tin whistle"])]
    for i, (c, t) in enumerate(zip(["Ada Quist", "Bruno Melo", "Chiara Conti", "Dai Morgan", "Elin Aho"], towns)):
        o = Order.objects.create(number="A-%d" % (1041 + i * 13), customer=c, town=t, paid=i % 2 == 0, urgent=i == 3)
        Line.objects.create(order=o, article=a[i], quantity=i + 1)
'''


@application("django", pip=["django==5.2.19", "wagtail==8.0.1"])
def django(w):
    python = w.python("django")
    w.once(w.python("django", "django-admin"), "startproject", "site1", w.folder)
    w.once(python, "manage.py", "startapp", "shop")
    w.write("shop/models.py", DJANGO_MODELS)
    w.write("shop/admin.py", DJANGO_ADMIN)
    with open(w.path("site1", "settings.py"), "a", encoding="utf-8") as settings:
        settings.write("\nINSTALLED_APPS += ['shop']\nALLOWED_HOSTS = ['*']\n")
    w.once(python, "manage.py", "makemigrations", "shop")
    w.once(python, "manage.py", "migrate")
    w.once(python, "manage.py", "shell", "-c", textwrap.dedent(DJANGO_DATA))
    port = w.port()
    at = f"http://127.0.0.1:{port}/admin/"
    w.serve(python, "manage.py", "runserver", "--noreload", str(port), ready=at)
    page = w.window()
    page.goto(at)
    w.shot(page, "sign in")
    page.fill("#id_username", "admin")
    page.fill("#id_password", "admin")
    page.click("input[type=submit]")
    page.wait_for_url(at)
    state = page.context.storage_state()
    plan = [("index", "", 1, False), ("suppliers", "shop/supplier/", 1, False), ("supplier add", "shop/supplier/add/", 1.5, False),
            ("articles", "shop/article/", 1, True), ("article change", "shop/article/3/change/", 1, False),
            ("orders", "shop/order/", 2, False), ("order change", "shop/order/2/change/", 1, False),
            ("users", "auth/user/", 1, False), ("user add", "auth/user/add/", 1, False), ("user change", "auth/user/3/change/", 1, True),
            ("group add", "auth/group/add/", 1, False)]
    for name, path, ratio, dark in plan:
        def act():
            page = w.window(ratio, dark, state=state)
            page.goto(at + path)
            w.shot(page, name, dark)
        w.attempt(name, act)

    def delete():
        page = w.window(state=state)
        page.goto(at + "auth/user/4/change/")
        page.evaluate("scrollTo(0, 520)")
        w.shot(page, "user change, lower")
    w.attempt("user change, lower", delete)


@application("django", pip=["django==5.2.19", "wagtail==8.0.1"])
def wagtail(w):
    python = w.python("django")
    w.once(w.python("django", "wagtail"), "start", "mysite", w.folder)
    w.once(python, "manage.py", "migrate")
    w.once(python, "manage.py", "shell", "-c", textwrap.dedent('''
        from django.contrib.auth.models import User
        from home.models import HomePage
        User.objects.create_superuser("admin", "admin@example.com", "admin", first_name="Ada", last_name="Quist")
        for n, f, l in [("bmelo", "Bruno", "Melo"), ("cconti", "Chiara", "Conti"), ("dmorgan", "Dai", "Morgan")]:
            User.objects.create_user(n, n + "@example.com", "x", first_name=f, last_name=l)
        root = HomePage.objects.first()
        for t in ("Opening hours", "About the museum", "Guided tours", "Press releases"):
            root.add_child(instance=HomePage(title=t, slug=t.lower().replace(" ", "-")))
    '''))
    port = w.port()
    at = f"http://127.0.0.1:{port}/admin/"
    w.serve(python, "manage.py", "runserver", "--noreload", str(port), ready=at)
    page = w.window()
    page.goto(at)
    w.shot(page, "sign in")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", "admin")
    page.click("button[type=submit]")
    page.wait_for_url(at)
    state = page.context.storage_state()
    plan = [("explorer", "pages/3/", 1, False), ("users", "users/", 1, False), ("user add", "users/new/", 1, False), ("group add", "groups/new/", 1.5, False),
            ("group permissions", "groups/edit/1/", 1, True), ("site add", "sites/new/", 1, False), ("redirect add", "redirects/add/", 1, False),
            ("report", "reports/site-history/", 2, False), ("account", "account/", 1, False)]
    for name, path, ratio, dark in plan:
        def act():
            page = w.window(ratio, dark, state=state)
            page.goto(at + path, wait_until="networkidle")
            if name.startswith("group"):
                page.mouse.move(700, 500)
                page.mouse.wheel(0, 420)
            w.shot(page, name, dark)
        w.attempt(name, act)


@application("datasette", pip=["datasette==0.65.5"])
def datasette(w):
    data = sqlite3.connect(w.path("museum.db"))
    rng = random.Random(5)
    data.executescript("create table artists(id integer primary key, name text, born integer, country text); create table works(id integer primary key, title text, artist integer references artists(id), year integer, medium text, width_cm integer, on_display integer); create table loans(id integer primary key, work integer references works(id), borrower text, starts text, ends text); create view recent as select * from works where year > 1950;")
    for i, (n, c) in enumerate([("Ilse Brandt", "Austria"), ("Marco Riva", "Italy"), ("Sofia Lind", "Sweden"), ("Tomas Vega", "Chile"), ("Amina Diallo", "Senegal")]):
        data.execute("insert into artists values (?,?,?,?)", (i + 1, n, 1880 + 17 * i, c))
    for i, t in enumerate(["Harbour at dusk", "Two sisters", "Blue table", "The orchard", "Study of hands", "Night train", "Winter field", "Red boats", "Empty chair", "Market day", "Self portrait", "Salt pans"]):
        data.execute("insert into works values (?,?,?,?,?,?,?)", (i + 1, t, i % 5 + 1, 1900 + rng.randrange(110), rng.choice(["oil", "ink", "gouache", "pastel"]), rng.randrange(20, 210), i % 2))
    for i in range(9):
        data.execute("insert into loans values (?,?,?,?,?)", (i + 1, i + 1, rng.choice(["Kunsthalle Basel", "City Gallery", "Prado"]), f"2021-0{i % 9 + 1}-11", f"2022-0{i % 9 + 1}-20"))
    data.commit()
    data.close()
    w.write("metadata.json", json.dumps({"title": "Museum records", "license": "CC BY", "databases": {"museum": {"tables": {"works": {"facets": ["medium", "on_display"]}}, "queries": {"by_artist": {"sql": "select title, year from works where artist = :artist and year > :after", "title": "Works of an artist"}}}}}))
    port = w.port()
    at = f"http://127.0.0.1:{port}/"
    w.serve(w.python("datasette", "datasette"), "serve", "museum.db", "-m", "metadata.json", "-p", str(port), "--root", ready=at)
    plan = [("index", "", 1), ("database", "museum", 1), ("works", "museum/works", 1), ("works filtered", "museum/works?medium=oil&year__gt=1900&_sort_desc=year", 1.5), ("artists", "museum/artists", 2), ("query", "museum/by_artist?artist=2&after=1900", 1),
            ("row", "museum/works/3", 1), ("search", "museum/loans?borrower__contains=City", 1), ("export", "museum/works?_facet=artist#export", 1), ("permissions", "-/allow-debug", 1), ("patterns", "-/patterns", 1)]
    for name, path, ratio in plan:
        def act():
            page = w.window(ratio)
            page.goto(at + path)
            if name in ("export", "patterns"):
                page.evaluate("scrollTo(0, 700)")
            w.shot(page, name)
        w.attempt(name, act)


@application("roundup", pip=["roundup==2.6.0"])
def roundup(w):
    admin = w.python("roundup", "roundup-admin")
    port = w.port()
    at = f"http://127.0.0.1:{port}/demo/"
    w.once(admin, "-i", w.path("tracker"), "install", "classic", "sqlite", f"tracker_web={at},mail_domain=example.com,mailhost=localhost,admin_email=admin@example.com,tracker_name=Workshop")
    w.once(admin, "-i", w.path("tracker"), "initialise", "admin")
    for n, r in [("mbauer", "Marta Bauer"), ("jlee", "Jun Lee"), ("osantos", "Olga Santos")]:
        w.once(admin, "-i", w.path("tracker"), "create", "user", f"username={n}", f"realname={r}", f"address={n}@example.com", "roles=User")
    for k in ("printer", "network", "licence"):
        w.once(admin, "-i", w.path("tracker"), "create", "keyword", f"name={k}")
    for i, t in enumerate(["Printer on the second floor jams", "Mail to the list arrives twice", "Calendar shows the wrong week", "Backup of the archive is late", "Door sensor sends no events"]):
        w.once(admin, "-i", w.path("tracker"), "create", "issue", f"title={t}", f"priority={i % 5 + 1}", f"status={i % 4 + 1}", f"assignedto={3 + i % 3}")
    nobody = []
    if os.getuid() == 0:  # It refuses to serve as root.
        nobody = ["-u", "nobody", "-g", "nogroup"]
        os.chmod(w.folder, 0o755)
        for inside, _, files in os.walk(w.path("tracker")):
            for owned in [inside, *(os.path.join(inside, f) for f in files)]:
                shutil.chown(owned, "nobody", "nogroup")
    w.serve(w.python("roundup", "roundup-server"), "-p", str(port), "-n", "127.0.0.1", *nobody, f"demo={w.path('tracker')}", ready=at)
    page = w.window()
    page.goto(at)
    page.fill("[name=__login_name]", "admin")
    page.fill("[name=__login_password]", "admin")
    page.click("input[type=submit][value=Login]")
    page.wait_for_load_state()
    state = page.context.storage_state()
    plan = [("index", "", 1), ("issue add", "issue?@template=item", 1), ("issue search", "issue?@template=search", 1.5), ("issue", "issue2", 1), ("user add", "user?@template=item", 1), ("users", "user", 2), ("keyword", "keyword?@template=item", 1), ("all issues", "issue?@columns=id,activity,title,creator,status,priority,assignedto&@sort=id&@group=priority&@filter=", 1)]
    for name, path, ratio in plan:
        def act():
            page = w.window(ratio, state=state)
            page.goto(at + path)
            w.shot(page, name)
        w.attempt(name, act)


@application("trac", pip=["trac==1.6", "setuptools<81"])
def trac(w):
    admin = lambda *words: w.once(w.python("trac", "trac-admin"), w.path("env"), *words)
    admin("initenv", "Ferry timetable", "sqlite:db/trac.db")
    admin("permission", "add", "anonymous", "TRAC_ADMIN")
    for c in ("printing", "website", "ticket office"):
        admin("component", "add", c)
    data = sqlite3.connect(w.path("env", "db", "trac.db"))
    now = int(1.7e15)
    for i, (t, o) in enumerate([("Sunday departures are missing", "mbauer"), ("Fares show two currencies", "jlee"), ("Map does not print", "osantos"), ("Winter schedule starts late", "pnovak"), ("Broken link on the pier page", "rkhan")]):
        data.execute("insert into ticket(type,time,changetime,component,priority,owner,reporter,milestone,version,status,summary) values (?,?,?,?,?,?,?,?,?,?,?)", (["defect", "task", "enhancement"][i % 3], now, now, ["printing", "website"][i % 2], ["major", "minor", "critical"][i % 3], o, "anonymous", f"milestone{i % 3 + 1}", "1.0", "new", t))
    data.commit()
    data.close()
    port = w.port()
    at = f"http://127.0.0.1:{port}/env/"
    w.serve(w.python("trac", "tracd"), "--hostname", "127.0.0.1", "-p", str(port), w.path("env"), ready=at)
    plan = [("new ticket", "newticket", 1), ("query", "query?status=new&order=priority", 1), ("ticket", "ticket/2", 1), ("preferences", "prefs", 1), ("preferences advanced", "prefs/userinterface", 1), ("basic settings", "admin/general/basics", 1.5), ("permissions", "admin/general/perm", 1), ("components", "admin/ticket/components", 1), ("versions", "admin/ticket/milestones", 2), ("search", "search", 1), ("roadmap", "roadmap", 1), ("plugins", "admin/general/logging", 1), ("timeline", "timeline", 1)]
    for name, path, ratio in plan:
        def act():
            page = w.window(ratio)
            page.goto(at + path)
            w.shot(page, name)
        w.attempt(name, act)


@application(debian=["php-cli", "php-sqlite3", "adminer"])
def adminer(w):
    data = sqlite3.connect(w.path("shop.db"))
    data.executescript("create table customer(id integer primary key, surname text not null, given_name text, email text, city text default 'Graz', newsletter integer); create table invoice(id integer primary key, customer integer references customer(id), issued text, total real, note text); create index by_city on customer(city); create view debtor as select * from customer;")
    for i, (g, s, c) in enumerate([("Ada", "Quist", "Turku"), ("Bruno", "Melo", "Porto"), ("Chiara", "Conti", "Torino"), ("Dai", "Morgan", "Cardiff"), ("Elin", "Aho", "Oulu")]):
        data.execute("insert into customer values (?,?,?,?,?,?)", (i + 1, s, g, f"{g.lower()}@example.com", c, i % 2))
        data.execute("insert into invoice values (?,?,?,?,?)", (300 + i, i + 1, f"2023-0{i + 1}-14", 99.5 + i * 21, ""))
    data.commit()
    data.close()
    w.write("index.php", """
        <?php
        function adminer_object() {
            class Open extends Adminer { function login($login, $password) { return true; } }
            return new Open;
        }
        include '/usr/share/adminer/adminer.php';
    """)
    port = w.port()
    at = f"http://127.0.0.1:{port}/index.php"
    w.serve("php", "-S", f"127.0.0.1:{port}", "-t", w.folder, ready=at)
    page = w.window()
    page.goto(at)
    w.shot(page, "sign in")
    page.select_option("[name='auth[driver]']", "sqlite")
    page.fill("[name='auth[db]']", "shop.db")
    page.click("input[type=submit]")
    page.wait_for_load_state()
    state = page.context.storage_state()
    base = "?sqlite=&username=&db=shop.db"
    plan = [("database", "", 1), ("select", "&select=customer", 1), ("edit", "&edit=customer&where[id]=2", 1.5), ("alter table", "&create=customer", 1), ("new table", "&create=", 1), ("export", "&dump=", 2), ("indexes", "&indexes=customer", 1), ("structure", "&table=invoice", 1), ("sql", "&sql=", 1), ("foreign key", "&foreign=invoice", 1), ("import", "&import=", 1), ("trigger", "&trigger=customer", 1)]
    for name, path, ratio in plan:
        def act():
            page = w.window(ratio, state=state)
            page.goto(at + base + path)
            w.shot(page, name)
        w.attempt(name, act)


@application("jupyterlab", pip=["jupyterlab==4.6.6"])
def jupyterlab(w):
    cells = [("markdown", "# Rainfall\nTotals for each month, in millimetres."), ("code", "totals = {'January': 61, 'February': 48, 'March': 55}\nprint(sum(totals.values()))"), ("code", "import statistics\nstatistics.mean(totals.values())")]
    w.write("work/rainfall.ipynb", json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}}, "cells": [{"id": f"c{i}", "cell_type": k, "metadata": {}, "source": s, **({"outputs": [], "execution_count": None} if k == "code" else {})} for i, (k, s) in enumerate(cells)]}))
    w.write("work/stations.csv", "station,height,opened\nMill Lane,112,1974\nOld Harbour,4,1921\nNorth Ridge,640,1988\n")
    w.write("work/notes.md", "# Notes\n\nThe gauge at Mill Lane was moved.\n")
    for folder in ("archive", "figures", "raw data"):
        os.makedirs(w.path("work", folder))
    port = w.port()
    at = f"http://127.0.0.1:{port}/lab"
    w.serve(w.python("jupyterlab", "jupyter-lab"), "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1", "--IdentityProvider.token=", f"--ServerApp.root_dir={w.path('work')}",
            "--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", ready=at,
            env={"JUPYTER_CONFIG_DIR": w.path("config"), "JUPYTER_DATA_DIR": w.path("data"), "JUPYTER_RUNTIME_DIR": w.path("run"), "JUPYTERLAB_SETTINGS_DIR": w.path("settings"), "JUPYTERLAB_WORKSPACES_DIR": w.path("workspaces"), "PATH": os.path.dirname(w.python("jupyterlab")) + os.pathsep + os.environ["PATH"]})

    def lab(ratio=1, path="?reset", dark=False):
        w.write("settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings", json.dumps({"theme": "JupyterLab Dark" if dark else "JupyterLab Light"}))
        page = w.window(ratio, dark)
        page.goto(at + path)
        page.wait_for_selector("#jp-main-dock-panel")
        page.wait_for_selector(".jp-LabShell", state="visible")
        time.sleep(4)
        for button in page.locator("button:has-text('No'), .jp-toast-button:has-text('No')").all():
            with contextlib.suppress(Exception):
                button.click(timeout=500)
        return page

    def settings(section, ratio=1, dark=False, scroll=0):
        def act():
            page = lab(ratio, dark=dark)
            page.keyboard.press("Control+,")
            page.wait_for_selector(".jp-PluginList", timeout=20000)
            page.locator(".jp-PluginList button, .jp-PluginList-entry", has_text=section).first.click()
            time.sleep(1.5)
            if scroll:
                page.mouse.move(900, 500)
                page.mouse.wheel(0, scroll)
            w.shot(page, f"settings {section}", dark)
        return act

    def menu(title, ratio=1, dark=False):
        def act():
            page = lab(ratio, dark=dark)
            page.locator(".lm-MenuBar-item", has_text=title).first.click()
            page.wait_for_selector(".lm-Menu")
            w.shot(page, f"menu {title}", dark)
        return act

    def notebook():
        page = lab(1.5, "/tree/rainfall.ipynb?reset")
        page.wait_for_selector(".jp-Notebook")
        time.sleep(3)
        w.shot(page, "notebook")

    def inspector():
        page = lab(1, "/tree/rainfall.ipynb?reset")
        page.wait_for_selector(".jp-Notebook")
        page.locator(".jp-SideBar.jp-mod-right .lm-TabBar-tab").first.click()
        time.sleep(2)
        w.shot(page, "property inspector")

    def palette():
        page = lab()
        page.keyboard.press("Control+Shift+C")
        time.sleep(1)
        w.shot(page, "command palette")

    for name, act in [("launcher", lambda: w.shot(lab(), "launcher")), ("notebook", notebook), ("inspector", inspector), ("palette", palette), ("file", menu("File")), ("view", menu("View", 1, True)), ("settings menu", menu("Settings", 2)),
                      ("notebook settings", settings("Notebook", 1)), ("terminal", settings("Terminal", 1.5)), ("file browser", settings("File Browser", 1, True)), ("csv", settings("CSV Viewer")), ("completer", settings("Code Completion")), ("console", settings("Code Console")), ("document manager", settings("Document Manager", 1))]:
        w.attempt(name, act)


@application("mlflow", pip=["mlflow==3.17.2"])
def mlflow(w):
    port = w.port()
    at = f"http://127.0.0.1:{port}"
    w.serve(w.python("mlflow", "mlflow"), "server", "--backend-store-uri", f"sqlite:///{w.path('mlflow.db')}", "--default-artifact-root", w.path("artifacts"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1", ready=at + "/health",
            env={"PATH": os.path.dirname(w.python("mlflow")) + os.pathsep + os.environ["PATH"], "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"})
    api = lambda path, data: w.fetch(f"{at}/api/2.0/mlflow/{path}", data)
    rng = random.Random(3)
    experiments = {}
    for name in ("Housing prices", "Ticket routing", "Bird songs"):
        experiments[name] = api("experiments/create", {"name": name})["experiment_id"]
        for i, run in enumerate(["baseline", "deeper-tree", "small-batch", "dropout-half", "long-warmup"]):
            made = api("runs/create", {"experiment_id": experiments[name], "run_name": run, "start_time": 1700000000000 + i, "tags": [{"key": "mlflow.user", "value": "mbauer"}]})["run"]["info"]["run_id"]
            for key in ("accuracy", "loss"):
                api("runs/log-metric", {"run_id": made, "key": key, "value": round(rng.random(), 3), "timestamp": 1700000000000, "step": 1})
            for key, value in (("depth", str(3 + i)), ("learning_rate", f"0.0{i + 1}"), ("optimizer", "adam")):
                api("runs/log-parameter", {"run_id": made, "key": key, "value": value})
            api("runs/update", {"run_id": made, "status": "FINISHED", "end_time": 1700000060000})
    for model in ("price-forest", "router", "warbler"):
        api("registered-models/create", {"name": model, "description": f"The {model} in use"})

    def visit(name, path, shown, ratio=1, dark=False, act=None):
        def go():
            page = w.window(ratio, dark)
            page.goto(at + "/#/" + path, wait_until="load")
            if dark:
                page.evaluate("localStorage.setItem('_mlflow_dark_mode_toggle_enabled', 'true')")
                page.reload(wait_until="load")
            page.wait_for_selector(f"text={shown}", timeout=60000)
            time.sleep(3)
            if act:
                act(page)
                time.sleep(1)
            w.shot(page, name, dark)
        w.attempt(name, go)
    one, other = experiments["Housing prices"], experiments["Bird songs"]
    first = w.fetch(at + "/api/2.0/mlflow/runs/search", {"experiment_ids": [one]})["runs"][0]["info"]["run_id"]
    press = lambda name: lambda page: page.get_by_role("button", name=re.compile(name)).first.click()
    visit("experiments", "experiments", "Bird songs")
    visit("runs", f"experiments/{one}/runs", "dropout-half", 1.5)
    visit("runs dark", f"experiments/{other}/runs", "dropout-half", 1, True)
    visit("columns", f"experiments/{one}/runs", "dropout-half", 1, False, press("Columns"))
    visit("run", f"experiments/{one}/runs/{first}", "learning_rate")
    visit("models", "models", "price-forest", 2)
    visit("new experiment", "experiments", "Bird songs", 1, False, press("^Create"))
    visit("settings", "settings", "telemetry")


@application("pgadmin", pip=["pgadmin4==9.18"])
def pgadmin(w):
    port = w.port()
    at = f"http://127.0.0.1:{port}"
    w.write("config_local.py", f"""
        SERVER_MODE = False
        DATA_DIR = {w.path('data')!r}
        LOG_FILE = {w.path('pgadmin.log')!r}
        SQLITE_PATH = {w.path('pgadmin.db')!r}
        SESSION_DB_PATH = {w.path('sessions')!r}
        STORAGE_DIR = {w.path('storage')!r}
        DEFAULT_SERVER_PORT = {port}
        MASTER_PASSWORD_REQUIRED = False
        USE_OS_SECRET_STORAGE = False
        UPGRADE_CHECK_ENABLED = False
        ENHANCED_COOKIE_PROTECTION = False
    """)
    os.makedirs(w.path("data"))
    program = w.once(w.python("pgadmin"), "-c", "import importlib.util as u; print(u.find_spec('pgadmin4').submodule_search_locations[0])", cwd="/").strip()
    w.serve(w.python("pgadmin"), os.path.join(program, "pgAdmin4.py"), ready=at + "/misc/ping", env={"PYTHONPATH": w.folder})

    def open_page(ratio=1, dark=False, size=(1280, 800)):
        page = w.window(ratio, dark, size)
        page.goto(at + "/browser/")
        page.wait_for_selector("text=Object Explorer", timeout=90000)
        time.sleep(4)
        return page

    def dialog(name, ratio, tabs, size=(1280, 800)):
        def act():
            page = open_page(ratio, size=size)
            page.get_by_text("Servers", exact=True).first.click(button="right")
            time.sleep(0.7)
            page.get_by_role("menuitem", name=re.compile("^Register")).first.hover()
            time.sleep(0.7)
            page.get_by_text("Server...", exact=True).first.click()
            time.sleep(2)
            for tab in tabs:
                with contextlib.suppress(Exception):
                    page.get_by_role("tab", name=tab, exact=True).last.click(timeout=5000)
                    time.sleep(1)
                w.shot(page, f"{name} {tab}")
        w.attempt(name, act)

    def preferences(ratio, sections):
        def act():
            page = open_page(ratio)
            page.get_by_text("File", exact=True).first.click()
            time.sleep(0.7)
            page.get_by_text("Preferences", exact=True).first.click()
            time.sleep(3)
            for group, section in sections:
                page.get_by_role("treeitem", name=group, exact=True).first.scroll_into_view_if_needed(timeout=5000)
                top = page.get_by_role("treeitem", name=group, exact=True).first.bounding_box()["y"]
                items = [i for i in page.get_by_role("treeitem", name=section, exact=True).all() if i.bounding_box()["y"] > top]
                items[0].click(timeout=5000)
                time.sleep(1.5)
                w.shot(page, f"preferences {group} {section}")
        w.attempt("preferences", act)
    w.attempt("welcome", lambda: w.shot(open_page(), "welcome"))
    dialog("register server", 1, ["General", "Connection", "Parameters", "SSH Tunnel", "Advanced"])
    preferences(1, [("Browser", "Display"), ("Browser", "Tab settings"), ("Browser", "Nodes"), ("Debugger", "Keyboard shortcuts")])
    preferences(1.5, [("Query Tool", "Results grid"), ("Editor", "Options"), ("Dashboards", "Refresh rates")])

    def menu():
        page = open_page(2)
        page.get_by_text("Object", exact=True).first.click()
        time.sleep(1)
        w.shot(page, "menu Object")
    w.attempt("menu", menu)


@application("octoprint", pip=["octoprint==1.11.8", "setuptools<81"])
def octoprint(w):
    port = w.port()
    at = f"http://127.0.0.1:{port}/"
    w.write("base/config.yaml", """
        accessControl:
          autologinLocal: true
          autologinAs: admin
          localNetworks: [127.0.0.0/8]
        server:
          firstRun: false
          onlineCheck: {enabled: false}
          pluginBlacklist: {enabled: false}
          seenWizards: {corewizard: 4, backup: null, tracking: null, softwareupdate: null, classicwebcam: 1}
        plugins:
          _disabled: [softwareupdate, announcements, tracking, discovery, errortracking]
          virtual_printer: {enabled: true}
        temperature:
          profiles: [{name: ABS, bed: 100, extruder: 210}, {name: PLA, bed: 60, extruder: 180}]
    """)
    program = [w.python("octoprint", "octoprint"), "--basedir", w.path("base")]
    w.once(*program, "user", "add", "admin", "--password", "admin", "--admin")
    w.serve(*program, "serve", "--iknowwhatimdoing", "--host", "127.0.0.1", "--port", str(port), ready=at)

    def main_page(ratio=1):
        page = w.window(ratio)
        page.goto(at, wait_until="domcontentloaded")
        page.wait_for_selector("#navbar", timeout=90000)
        page.wait_for_selector("#page-container-loading", state="hidden", timeout=90000)
        time.sleep(3)
        for _ in range(4):
            with contextlib.suppress(Exception):
                page.locator(".ui-pnotify button:has-text('Got it'), .modal.in .close, .modal.in button:has-text('Ignore')").first.click(timeout=1500)
                time.sleep(0.7)
        return page

    def settings(names, ratio):
        def act():
            page = main_page(ratio)
            page.locator("#navbar_show_settings").click()
            page.wait_for_selector("#settings_dialog.in", timeout=20000)
            time.sleep(2)
            for name in names:
                page.locator("#settings_dialog_menu a", has_text=name).first.click(timeout=8000)
                time.sleep(1)
                w.shot(page, f"settings {name}")
        w.attempt("settings", act)
    w.attempt("main", lambda: w.shot(main_page(), "main"))
    settings(["Serial Connection", "Features", "Appearance", "Webcam & Timelapse", "Folders"], 1)
    settings(["GCODE Scripts", "Server", "API", "Event Manager", "Access Control"], 1.5)

    def terminal():
        page = main_page(1)
        page.locator("#tabs a", has_text="Terminal").first.click()
        w.shot(page, "terminal")
        page.locator("#tabs a", has_text="Control").first.click()
        w.shot(page, "control")
    w.attempt("terminal", terminal)


@application(npm=["node-red@5.0.7"])
def nodered(w):
    port = w.port()
    at = f"http://127.0.0.1:{port}/"
    w.write("settings.js", "module.exports = { flowFile: 'flows.json', telemetry: { enabled: false, updateNotification: false }, editorTheme: { tours: false, projects: { enabled: false } }, logging: { console: { level: 'warn' } } };")
    w.write("flows.json", json.dumps([
        {"id": "t1", "type": "tab", "label": "Greenhouse", "disabled": False, "info": ""},
        {"id": "t2", "type": "tab", "label": "Irrigation", "disabled": False, "info": ""},
        {"id": "n1", "type": "inject", "z": "t1", "name": "every minute", "props": [{"p": "payload"}, {"p": "topic", "vt": "str"}], "repeat": "60", "once": True, "topic": "tick", "payload": "", "payloadType": "date", "x": 160, "y": 120, "wires": [["n2"]]},
        {"id": "n2", "type": "function", "z": "t1", "name": "read sensor", "func": "return msg;", "outputs": 1, "x": 380, "y": 120, "wires": [["n3"]]},
        {"id": "n3", "type": "switch", "z": "t1", "name": "too warm?", "property": "payload", "propertyType": "msg", "rules": [{"t": "gt", "v": "28", "vt": "num"}, {"t": "else"}], "checkall": "true", "outputs": 2, "x": 590, "y": 120, "wires": [["n4"], []]},
        {"id": "n4", "type": "http request", "z": "t1", "name": "open window", "method": "GET", "ret": "txt", "url": "", "x": 400, "y": 240, "wires": [["n5"]]},
        {"id": "n5", "type": "debug", "z": "t1", "name": "log", "active": True, "complete": "payload", "targetType": "msg", "x": 600, "y": 240, "wires": []},
        {"id": "n6", "type": "delay", "z": "t1", "name": "wait", "pauseType": "rate", "timeout": "5", "rate": "3", "nbRateUnits": "1", "rateUnits": "second", "x": 180, "y": 320, "wires": [[]]},
        {"id": "n7", "type": "mqtt in", "z": "t1", "name": "humidity", "topic": "house/humidity", "qos": "2", "datatype": "auto", "broker": "b1", "x": 180, "y": 400, "wires": [[]]},
        {"id": "b1", "type": "mqtt-broker", "name": "shed", "broker": "shed.example", "port": "1883", "protocolVersion": "4", "keepalive": "60"},
        {"id": "n8", "type": "split", "z": "t1", "name": "lines", "x": 380, "y": 400, "wires": [[]]},
        {"id": "n9", "type": "csv", "z": "t1", "name": "table", "sep": ",", "hdrin": True, "multi": "one", "x": 560, "y": 400, "wires": [[]]},
        {"id": "n10", "type": "file", "z": "t1", "name": "keep", "filename": "log.txt", "appendNewline": True, "overwriteFile": "false", "x": 560, "y": 320, "wires": [[]]},
    ]))
    w.serve("node", w.node("node-red", "node-red", "red.js"), "-u", w.folder, "-s", w.path("settings.js"), "-p", str(port), "-D", "uiHost=127.0.0.1", ready=at)

    def editor(ratio=1, dark=False):
        page = w.window(ratio, dark)
        page.goto(at)
        page.wait_for_selector("#red-ui-palette .red-ui-palette-node", timeout=60000)
        time.sleep(2)
        return page

    def edit(node, ratio=1):
        def act():
            page = editor(ratio)
            page.evaluate("(id) => RED.editor.edit(RED.nodes.node(id))", node)
            page.wait_for_selector(".red-ui-editor")
            time.sleep(1)
            w.shot(page, f"edit {node}")
        w.attempt(f"edit {node}", act)
    w.attempt("editor", lambda: w.shot(editor(), "editor"))
    for node, ratio in (("n1", 1), ("n3", 1), ("n4", 1.5), ("n6", 1), ("n7", 1), ("n9", 1), ("n10", 2)):
        edit(node, ratio)

    def action(name, what, ratio=1, then=None):
        def act():
            page = editor(ratio)
            page.evaluate("(a) => RED.actions.invoke(a)", what)
            time.sleep(1.2)
            if then:
                page.get_by_text(then, exact=True).first.click()
                time.sleep(0.8)
            w.shot(page, name)
        w.attempt(name, act)
    action("user settings", "core:show-user-settings")
    action("import", "core:show-import-dialog", 1)
    action("export", "core:show-export-dialog", 1.5)
    action("keyboard", "core:show-user-settings", 1, "Keyboard")

    def menu():
        page = editor()
        page.locator("#red-ui-header-button-sidemenu").click()
        time.sleep(1)
        w.shot(page, "menu")
    w.attempt("menu", menu)

    def broker():
        page = editor()
        page.evaluate("RED.editor.editConfig('', 'mqtt-broker', 'b1')")
        time.sleep(1.5)
        w.shot(page, "edit broker")
    w.attempt("edit broker", broker)


@application(npm=["tiddlywiki@5.3.6"])
def tiddlywiki(w):
    program = w.node("tiddlywiki", "tiddlywiki", "tiddlywiki.js")
    w.once("node", program, w.path("wiki"), "--init", "server")
    for title, tags, text in [("Bread", "kitchen", "Rye, water, salt, time."), ("Compost", "garden", "Turn it weekly."), ("Dry stone walls", "garden", "No mortar at all."), ("Sourdough", "kitchen", "See [[Bread]]."), ("Bee keeping", "garden", "A hive in the orchard.")]:
        w.write(f"wiki/tiddlers/{title}.tid", f"title: {title}\ntags: {tags}\ncreated: 20230101120000000\nmodified: 20230101120000000\n\n{text}\n")
    port = w.port()
    at = f"http://127.0.0.1:{port}/"
    w.serve("node", program, w.path("wiki"), "--listen", f"port={port}", "host=127.0.0.1", ready=at)

    def visit(name, path, ratio=1, dark=False, tab=None, act=None):
        def go():
            page = w.window(ratio, dark)
            page.goto(at + path)
            page.wait_for_selector(".tc-tiddler-frame")
            time.sleep(1.5)
            for t in tab or []:
                page.locator(".tc-tab-buttons button", has_text=re.compile(f"^\\s*{t}\\s*$")).first.click()
                time.sleep(0.8)
            if act:
                act(page)
                time.sleep(1)
            w.shot(page, name, dark)
        w.attempt(name, go)
    visit("control panel", "#%24%3A%2FControlPanel")
    visit("saving", "#%24%3A%2FControlPanel", 1, tab=["Saving", "Download Saver"])
    visit("settings", "#%24%3A%2FControlPanel", 1, tab=["Settings"])
    visit("toolbars", "#%24%3A%2FControlPanel", 1.5, tab=["Appearance", "Toolbars"])
    visit("theme tweaks", "#%24%3A%2FControlPanel", 1, tab=["Appearance", "Theme Tweaks"])
    visit("search", "#%24%3A%2FAdvancedSearch", 2)
    visit("tiddlers", "#Bread:Bread%20Compost%20Sourdough", 1)
    visit("edit", "#Compost", 1, act=lambda page: page.locator(".tc-tiddler-controls button").nth(1).click())


SWAGGER = '''
    from enum import Enum
    from fastapi import FastAPI, Form, Query
    from fastapi.openapi.docs import get_swagger_ui_html
    from fastapi.staticfiles import StaticFiles
    from pydantic import BaseModel
    import os

    app = FastAPI(title="Library loans", docs_url=None)
    app.mount("/static", StaticFiles(directory=os.environ["SWAGGER"]))

    class Sort(str, Enum):
        title = "title"
        author = "author"
        shelf = "shelf"

    class Loan(BaseModel):
        book: int
        reader: str
        days: int = 21

    @app.get("/books", tags=["books"], summary="List the books")
    def books(author: str = "", shelf: int = Query(0, description="Shelf number"), sort: Sort = Sort.title, available: bool = True, page: int = 1): return []

    @app.get("/books/{book_id}", tags=["books"], summary="Show one book")
    def book(book_id: int): return {}

    @app.post("/loans", tags=["loans"], summary="Lend a book")
    def lend(loan: Loan): return loan

    @app.delete("/loans/{loan_id}", tags=["loans"], summary="Take a book back")
    def back(loan_id: int): return {}

    @app.post("/readers", tags=["readers"], summary="Enter a reader")
    def reader(surname: str = Form(), given_name: str = Form(), telephone: str = Form(""), town: str = Form(""), newsletter: bool = Form(False)): return {}

    @app.get("/docs")
    def docs(): return get_swagger_ui_html(openapi_url="/openapi.json", title="Library loans", swagger_js_url="/static/swagger-ui-bundle.js", swagger_css_url="/static/swagger-ui.css", swagger_favicon_url="/static/favicon-32x32.png")
'''


@application("swagger", pip=["fastapi==0.165.0", "uvicorn", "python-multipart"], npm=["swagger-ui-dist"])
def swagger(w):
    w.write("loans.py", SWAGGER)
    port = w.port()
    at = f"http://127.0.0.1:{port}/docs"
    w.serve(w.python("swagger"), "-m", "uvicorn", "loans:app", "--port", str(port), ready=at, env={"SWAGGER": w.node("swagger-ui-dist", "swagger-ui-dist")})

    def visit(name, opened, ratio=1, dark=False, scroll=0):
        def go():
            page = w.window(ratio, dark)
            page.goto(at)
            page.wait_for_selector(".opblock")
            for path, trying in opened:
                block = page.locator(".opblock", has_text=path).first
                block.locator(".opblock-summary-control").click()
                time.sleep(0.7)
                if trying:
                    block.locator(".try-out__btn").click()
                    time.sleep(0.5)
            if scroll:
                page.mouse.move(600, 400)
                page.mouse.wheel(0, scroll)
            w.shot(page, name, dark)
        w.attempt(name, go)
    visit("operations", [])
    visit("list books", [("List the books", True)], 1, False, 260)
    visit("enter reader", [("Enter a reader", True)], 1.5, False, 620)
    visit("show book", [("Show one book", True), ("Take a book back", True)], 2, False, 420)


@application(npm=["verdaccio@6.8.0"])
def verdaccio(w):
    port = w.port()
    at = f"http://127.0.0.1:{port}/"
    w.write("config.yaml", """
        storage: ./storage
        web: {title: Workshop packages, darkMode: false}
        auth: {htpasswd: {file: ./htpasswd}}
        uplinks: {}
        packages: {'**': {access: $all, publish: $all}}
        log: {type: stdout, format: pretty, level: warn}
    """)
    w.serve("node", w.node("verdaccio", "verdaccio", "bin", "verdaccio"), "-c", w.path("config.yaml"), "-l", f"127.0.0.1:{port}", ready=at)
    registry = f"--registry={at}"
    w.write(".npmrc", f"//127.0.0.1:{port}/:_authToken=none\n")
    for name, version, text in [("tide-tables", "1.4.0", "High and low water for harbours"), ("knot-names", "0.9.2", "Names of knots in six languages"), ("sail-plan", "2.0.1", "Draws the sails of a boat"), ("buoy-parser", "3.1.5", "Reads messages of buoys")]:
        w.write(f"{name}/package.json", json.dumps({"name": name, "version": version, "description": text, "license": "MIT", "author": "Marta Bauer", "keywords": ["sea", name.split("-")[0]], "dependencies": {"knot-names": "^0.9.0"} if name == "sail-plan" else {}}))
        w.write(f"{name}/readme.md", f"# {name}\n\n{text}.\n\n## Usage\n\nInstall it, then call it.\n")
        w.once("npm", "publish", registry, cwd=w.path(name))

    def visit(name, path, ratio=1, dark=False, act=None):
        def go():
            page = w.window(ratio, dark)
            page.goto(at + path, wait_until="networkidle")
            time.sleep(1)
            if act:
                act(page)
                time.sleep(1)
            w.shot(page, name, dark)
        w.attempt(name, go)
    visit("packages", "")
    visit("detail", "-/web/detail/sail-plan", 1.5)
    visit("sign in", "", 1, act=lambda page: page.get_by_role("button", name=re.compile("login", re.I)).first.click())


@application(debian=["syncthing"])
def syncthing(w):
    port, sync = w.port(), w.port()
    at = f"http://127.0.0.1:{port}/"
    w.once("syncthing", "generate", f"--home={w.path('home')}", "--no-default-folder", "--skip-port-probing")
    config = w.path("home", "config.xml")
    text = open(config, encoding="utf-8").read()
    text = re.sub(r"<listenAddress>default</listenAddress>", f"<listenAddress>tcp://127.0.0.1:{sync}</listenAddress>", text)
    for off in ("globalAnnounceEnabled", "localAnnounceEnabled", "relaysEnabled", "natEnabled", "crashReportingEnabled", "startBrowser"):
        text = re.sub(f"<{off}>true", f"<{off}>false", text)
    text = re.sub(r"<urAccepted>0", "<urAccepted>-1", text)
    text = re.sub(r"<autoUpgradeIntervalH>\d+", "<autoUpgradeIntervalH>0", text)
    open(config, "w", encoding="utf-8").write(text)
    w.serve("syncthing", "serve", f"--home={w.path('home')}", "--no-browser", f"--gui-address=127.0.0.1:{port}", "--no-upgrade", ready=at, env={"STNOUPGRADE": "1", "STNODEFAULTFOLDER": "1"})
    key = re.search(r"<apikey>(.*?)</apikey>", text).group(1)

    def put(path, data):
        body = urllib.request.Request(at + "rest/config/" + path, json.dumps(data).encode(), {"X-API-Key": key, "Content-Type": "application/json"}, method="POST")
        urllib.request.urlopen(body, timeout=30).close()
    for i, label in enumerate(["Holiday pictures", "Scanned letters", "Field recordings"]):
        put("folders", {"id": f"folder-{i}", "label": label, "path": w.path("shared", str(i)), "type": ["sendreceive", "sendonly", "receiveonly"][i]})

    def dialog(name, ratio, act, dark=False):
        def go():
            page = w.window(ratio, dark)
            page.goto(at)
            page.wait_for_selector("text=Add Folder")
            time.sleep(2)
            for _ in range(2):
                with contextlib.suppress(Exception):
                    page.locator(".modal.in .btn:has-text('OK'), .panel-footer button:has-text('OK'), .modal.in button:has-text('Close')").first.click(timeout=700)
            act(page)
            time.sleep(1.2)
            w.shot(page, name, dark)
        w.attempt(name, go)

    def tab(*names):
        return lambda page: [page.locator(f".modal.in a:has-text('{n}')").first.click() for n in names]

    def settings(*names):
        def act(page):
            page.evaluate("() => { angular.element(document.querySelector('#settings')).scope(); $('#settings'); }")
            page.locator("a:has-text('Actions')").first.click()
            page.locator("a:has-text('Settings')").first.click()
            page.wait_for_selector("#settings.in, .modal.in")
            time.sleep(1)
            tab(*names)(page)
        return act

    def folder(*names):
        def act(page):
            page.locator("button:has-text('Add Folder')").first.click()
            page.wait_for_selector(".modal.in")
            time.sleep(1)
            tab(*names)(page)
        return act

    def device(*names):
        def act(page):
            page.locator("button:has-text('Add Remote Device')").first.click()
            page.wait_for_selector(".modal.in")
            time.sleep(1)
            tab(*names)(page)
        return act
    dialog("main", 1, lambda page: None)
    dialog("open folder", 1, lambda page: page.locator("#folders .panel-heading").first.click(), True)
    dialog("settings general", 1, settings())
    dialog("settings gui", 1.5, settings("GUI"))
    dialog("settings connections", 1, settings("Connections"))
    dialog("folder general", 1, folder())
    dialog("folder advanced", 2, folder("Advanced"))
    dialog("device general", 1, device())
    dialog("device advanced", 1, device("Advanced"))

    def advanced(page):
        page.locator("a:has-text('Actions')").first.click()
        page.locator("a:has-text('Advanced')").first.click()
        page.wait_for_selector(".modal.in")
        time.sleep(1)
        page.locator(".modal.in a:has-text('GUI'), .modal.in .panel-heading:has-text('GUI')").first.click()
    dialog("advanced", 1, advanced)


@application(debian=["qbittorrent-nox"])
def qbittorrent(w):
    port = w.port()
    at = f"http://127.0.0.1:{port}/"
    w.write("profile/qBittorrent/config/qBittorrent.conf", f"""
        [LegalNotice]
        Accepted=true
        [Preferences]
        WebUI\\Port={port}
        WebUI\\Address=127.0.0.1
        WebUI\\LocalHostAuth=false
        Bittorrent\\DHT=false
    """)
    w.serve("qbittorrent-nox", f"--profile={w.path('profile')}", ready=at)

    def main_page(ratio=1):
        page = w.window(ratio)
        page.goto(at)
        page.wait_for_selector("#desktop")
        time.sleep(2.5)
        return page

    def options(name, tab, ratio=1):
        def act():
            page = main_page(ratio)
            page.locator("#preferencesButton").click()
            time.sleep(2)
            page.locator(f"#{tab} a").first.click()
            time.sleep(1)
            w.shot(page, name)
        w.attempt(name, act)
    w.attempt("main", lambda: w.shot(main_page(), "main"))
    for name, tab, ratio in [("options downloads", "PrefDownloadsLink", 1), ("options connection", "PrefConnectionLink", 1), ("options speed", "PrefSpeedLink", 1.5), ("options bittorrent", "PrefBittorrentLink", 1), ("options web", "PrefWebUILink", 2), ("options advanced", "PrefAdvancedLink", 1)]:
        options(name, tab, ratio)

    def add():
        page = main_page()
        page.locator("#downloadButton").click()
        time.sleep(2)
        w.shot(page, "add links")
    w.attempt("add links", add)



def install(home, names):
    os.makedirs(home, exist_ok=True)
    for name in names:
        what = APPLICATIONS[name]
        try:
            if what["pip"]:
                where = os.path.join(home, what["venv"])
                subprocess.run([sys.executable, "-m", "venv", where], check=True)
                subprocess.run([os.path.join(where, "bin", "pip"), "install", "-q", "--disable-pip-version-check", *what["pip"]], check=True)
            for package in what["npm"]:
                where = os.path.join(home, "npm", re.sub(r"(?<=.)@.*", "", package))
                os.makedirs(where, exist_ok=True)
                with open(os.path.join(where, "package.json"), "w", encoding="utf-8") as out:
                    json.dump({"name": "here", "private": True, "overrides": {"node-fetch": "2.7.0"}}, out)
                subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", package], cwd=where, check=True)
            if what["debian"]:
                print(f"{name}: needs the Debian packages {' '.join(what['debian'])}")
            print(f"{name}: installed", flush=True)
        except Exception as error:
            print(f"{name}: not installed: {error}", flush=True)


def photograph(home, out, names):
    from playwright.sync_api import sync_playwright

    os.makedirs(os.path.join(out, "seen"), exist_ok=True)
    failed = []
    with sync_playwright() as playwright:
        for name in names:
            began = time.monotonic()
            print(name, flush=True)
            with tempfile.TemporaryDirectory(prefix="pages-", ignore_cleanup_errors=True) as folder:
                chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--hide-scrollbars", "--force-color-profile=srgb"])
                work = Work(name, home, folder, chromium)
                try:
                    APPLICATIONS[name]["run"](work)
                    if not work.shots:
                        raise RuntimeError("no page could be photographed")
                except Exception as error:
                    failed.append(name)
                    print(f"{name}: FAILED: {error}\n{traceback.format_exc(limit=-2, chain=False)}", flush=True)
                finally:
                    work.end()
                    with contextlib.suppress(Exception):
                        chromium.close()
            print(f"{name}: {len(work.shots)} pages in {time.monotonic() - began:.0f} s", flush=True)
            if work.shots:
                keep(out, name, work.shots)
    return failed


def stored(out):
    """What was photographed: for each file, the page and what the browser said of it."""
    pages = {}
    for name in sorted(os.listdir(os.path.join(out, "seen"))):
        with gzip.open(os.path.join(out, "seen", name), "rt", encoding="utf-8") as text:
            pages[name.split(".")[0] + ".png"] = json.load(text)
    return pages


def keep(out, group, shots):
    """Puts the shots of an application in the place of its earlier ones; those of others stay."""
    taken = set()
    for file, page in stored(out).items():
        if page["group"] == group:
            os.remove(os.path.join(out, file))
            os.remove(os.path.join(out, "seen", file.replace(".png", ".json.gz")))
        else:
            taken.add(file)
    free = (f"{i:03}" for i in range(10000) if f"{i:03}.png" not in taken)
    for shot in shots:
        number = next(free)
        with open(os.path.join(out, number + ".png"), "wb") as png:
            png.write(shot.pop("png"))
        with gzip.open(os.path.join(out, "seen", number + ".json.gz"), "wt", encoding="utf-8") as text:
            json.dump(shot, text, ensure_ascii=False)


def draw(out):
    """Applies the rule to what was photographed."""
    from PIL import Image

    pages, texts, asked = [], {}, {}
    for file, page in stored(out).items():
        picture = Image.open(os.path.join(out, file)).convert("RGB")
        seed = SEED + zlib.crc32(f"{page['group']}/{page['name']}".encode())
        drawn = rule.draw(page.pop("seen"), picture, seed, asked.setdefault(page["group"], set()))
        texts[file] = drawn.pop("everything")
        pages.append({"file": file, **page, **drawn})
    foreign = {}
    for p in pages:
        for l in p["labels"]:
            if l["unique"] and re.search(r"[^\W\d_]{2}", l["text"]):
                foreign.setdefault(p["group"], set()).add(l["text"])
    for p in pages:
        rng = random.Random(SEED + zlib.crc32(f"{p['group']}/{p['name']}/absent".encode()))
        others = set().union(*(t for g, t in foreign.items() if g != p["group"])) or foreign.get(p["group"], set())
        p["absent"] = rule.absent(rng, {"everything": texts[p["file"]], "labels": p["labels"]}, others)
    with open(os.path.join(out, "pages.json"), "w", encoding="utf-8") as to:
        json.dump(pages, to, ensure_ascii=False, indent=1)
    summary(out)


def summary(out):
    with open(os.path.join(out, "pages.json"), encoding="utf-8") as pages:
        pages = json.load(pages)
    kinds = ["label", "control", "checkbox", "field", "relation"]
    print(f"{'application':14} pages " + " ".join(f"{k:>8}" for k in kinds) + "   absent")
    for group in sorted({p["group"] for p in pages}) + [None]:
        own = [p for p in pages if group in (None, p["group"])]
        print(f"{group or 'all':14} {len(own):5} " + " ".join(f"{sum(count(p['asks']).get(k, 0) for p in own):8}" for k in kinds) + f" {sum(len(p['absent']) for p in own):8}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="what", required=True)
    for what, text in [("install", "install what the registries have below HOME"), ("photograph", "open the applications; screenshots and what the browser says of them go to OUT, and asks are drawn"),
                       ("draw", "draw asks again from what OUT holds"), ("summary", "count what OUT holds")]:
        step = steps.add_parser(what, help=text)
        if what in ("install", "photograph"):
            step.add_argument("home", help="where the applications are installed")
            step.add_argument("--only", nargs="+", metavar="NAME", choices=sorted(APPLICATIONS), help="these applications; pages of others stay as they are")
        if what != "install":
            step.add_argument("out", help="where the set is")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # What was started ends with this program.
    if given.what == "install":
        return install(os.path.abspath(given.home), given.only or list(APPLICATIONS))
    if given.what == "summary":
        return summary(given.out)
    failed = photograph(os.path.abspath(given.home), given.out, given.only or list(APPLICATIONS)) if given.what == "photograph" else []
    draw(given.out)
    if given.what == "photograph":
        print(f"failed: {' '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
