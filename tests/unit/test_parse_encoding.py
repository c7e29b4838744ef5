"""Bytes to text: labels that mean what browsers take them for, labels that lie, and no label at all."""

import pytest

from ingestion.parse.encoding import decode

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


@pytest.mark.parametrize("name", TEXTS)
def test_code_pages_are_told_apart(name: str) -> None:
    encoding = name.split()[1]
    data = TEXTS[name].encode(encoding)
    assert decode(data) == TEXTS[name]
    ascii_first = b"plain words of no telling\n" * 4000
    assert decode(ascii_first + data).removeprefix(ascii_first.decode()) == TEXTS[name]


def test_a_broken_byte_does_not_make_utf_8_something_else() -> None:
    text = "Die Größe beträgt fünf Äpfel.\n" * 40
    assert decode(b"\xff" + text.encode()) == "\ufffd" + text
    assert decode(b"Caf\xe9") == "Café"
