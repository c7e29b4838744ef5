"""Bytes to text: labels that mean what browsers take them for, labels that lie, and no label at all."""

from pathlib import Path

import pytest

from ingestion.parse import parse
from ingestion.parse.encoding import decode, decode_markup

MAIL = b"From: a@b.c\nTo: d@e.f\nContent-Type: text/plain; charset=%s\nContent-Transfer-Encoding: 8bit\n\n%s\n"
TEXTS = {
    "portuguese cp1252": "Férias: não há exceções, a solicitação é feita até três dias antes.",
    "spanish cp1252": "Nombre;Año\nMaría;2019\nÍñigo;2020\n¿Cuándo? Señal, niño.",
    "french cp1252": "Où que l’on soit, il faut prévenir le siège – ça va de soi.",
    "german cp850": "Die Größe des Büros beträgt vierzig Quadratmeter, für Gäste weniger.",
    "turkish cp1254": "Çalışanların yıllık ücretli izin hakkı otuz gündür. İzin başvurusu yöneticiye yapılır.",
    "czech cp1250": "Žádost se podává vedoucímu nejméně čtrnáct dní předem. Příští rok se řád změní.",
    "polish cp1250": "Wniosek należy złożyć przełożonemu. Świąteczne premie są wypłacane później.",
    "polish iso8859_2": "Wniosek należy złożyć przełożonemu. Świąteczne premie są wypłacane później.",
    "hungarian cp1250": "Az ünnepekről külön szabályzat szól, időpontja később kerül közlésre, hűvös őszi napokon.",
    "russian cp1251": "Работники имеют право на тридцать дней оплачиваемого отпуска в год.",
    "russian koi8_r": "Работники имеют право на тридцать дней оплачиваемого отпуска в год.",
    "greek cp1253": "Οι εργαζόμενοι δικαιούνται τριάντα ημέρες άδειας τον χρόνο.",
    "japanese cp932": "従業員は年間三十日の有給休暇を取得することができます。申請は上司に提出してください。",
    "chinese gbk": "员工每年享有三十天带薪休假。申请应至少提前两周提交给主管。如果在休假期间生病，则相应延长。",
    "chinese big5": "員工每年享有三十天帶薪休假。申請應至少提前兩週提交給主管。如果在休假期間生病，則相應延長。",
    "korean cp949": "직원은 매년 삼십일의 유급 휴가를 받을 권리가 있습니다. 신청은 이주 전에 제출해야 합니다.",
}


@pytest.mark.parametrize(
    ("label", "encoding"),
    [
        ("iso-8859-1", "cp1252"),
        ("latin1", "cp1252"),
        ("us-ascii", "cp1252"),
        ("iso-8859-9", "cp1254"),
        ("x-sjis", "cp932"),
    ],
)
def test_labels_mean_what_browsers_take_them_for(tmp_path: Path, label: str, encoding: str) -> None:
    said = "東京①" if encoding == "cp932" else "1990–2000, €500"
    mail = tmp_path / "mail"
    mail.write_bytes(MAIL % (label.encode(), said.encode(encoding)))
    assert said in parse(mail, "a.eml").text
    page = f'<meta http-equiv="Content-Type" content="text/html; charset={label}"><p>{said}'
    assert decode_markup(page.encode(encoding)) == page


def test_utf_8_under_the_label_of_a_template_is_utf_8() -> None:
    assert decode("Größe".encode(), "iso-8859-1") == decode("Größe".encode(), "no-such") == "Größe"


@pytest.mark.parametrize("name", ["a.xml", "a.xhtml", "a.html"])
@pytest.mark.parametrize("padding", ["", " "])
def test_what_declares_utf_16_in_ascii_is_not_utf_16(tmp_path: Path, name: str, padding: str) -> None:
    xml = '<?xml version="1.0" encoding="utf-16"?>'
    page = {
        "a.xml": f"{xml}<doc><p>Größe – words.</p></doc>",
        "a.xhtml": f"{xml}<html><body><p>Größe – words.</p></body></html>",
        "a.html": '<html><meta charset="utf-16"><p>Größe – words.</p></html>',
    }[name]
    path = tmp_path / "blob"
    path.write_bytes((page + padding).encode())
    assert parse(path, name).text == "Größe – words."


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_xml_that_is_utf_16_is_read_as_such(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "blob"
    path.write_bytes('<?xml version="1.0" encoding="utf-16"?><r><p>Größe – words.</p></r>'.encode(encoding))
    assert parse(path, "a.xml").text == "Größe – words."


@pytest.mark.parametrize("name", TEXTS)
def test_code_pages_are_told_apart(name: str) -> None:
    encoding = name.split()[1]
    data = TEXTS[name].encode(encoding)
    assert decode(data) == TEXTS[name]
    for ascii_first in (b"plain words of no telling\n" * 4000, b"x" * 20_000):
        assert decode(ascii_first + data).removeprefix(ascii_first.decode()) == TEXTS[name]


def test_a_broken_byte_does_not_make_utf_8_something_else() -> None:
    text = "Die Größe beträgt fünf Äpfel.\n" * 40
    assert decode(b"\xff" + text.encode()) == "\ufffd" + text
    assert decode(b"Caf\xe9") == "Café"
