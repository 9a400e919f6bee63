"""The fixed sentences of the `local` provider, by language; English for a language that is not here."""

GREETING = {
    "en": "Hello! What can I do for you?",
    "es": "¡Hola! ¿En qué puedo ayudarle?",
    "de": "Guten Tag! Was kann ich für Sie tun?",
    "fr": "Bonjour ! Que puis-je faire pour vous ?",
    "pt": "Olá! Em que posso ajudar?",
    "id": "Halo! Ada yang bisa saya bantu?",
}
WELCOME = {
    "en": "You're welcome. Is there anything else?",
    "es": "De nada. ¿Necesita algo más?",
    "de": "Gern geschehen. Kann ich sonst noch etwas für Sie tun?",
    "fr": "Je vous en prie. Puis-je faire autre chose pour vous ?",
    "pt": "De nada. Posso ajudar em mais alguma coisa?",
    "id": "Sama-sama. Ada lagi yang bisa saya bantu?",
}
GOODBYE = {
    "en": "Goodbye, and all the best.",
    "es": "Hasta luego, que le vaya bien.",
    "de": "Auf Wiedersehen, alles Gute.",
    "fr": "Au revoir, bonne continuation.",
    "pt": "Até logo, tudo de bom.",
    "id": "Sampai jumpa, semoga hari Anda menyenangkan.",
}
NOTHING_FOUND = {
    "en": "I found nothing about this in our documents. I can bring a person from our team, if you like.",
    "es": "No he encontrado nada sobre esto en nuestros documentos. Si lo desea, puedo avisar a una persona.",
    "de": "Dazu habe ich in unseren Unterlagen nichts gefunden. Wenn Sie möchten, hole ich einen Menschen.",
    "fr": "Je n'ai rien trouvé à ce sujet dans nos documents. Je peux appeler une personne, si vous voulez.",
    "pt": "Não encontrei nada sobre isto nos nossos documentos. Se quiser, posso chamar uma pessoa da equipa.",
    "id": "Saya tidak menemukan apa pun tentang ini di dokumen kami. Bila perlu, saya bisa memanggil petugas kami.",
}
NOT_UNDERSTOOD = {
    "en": "I did not understand that well enough to help. Could you say it in other words? I can also bring a person.",
    "es": "No lo he entendido bien. ¿Puede decirlo de otro modo? También puedo avisar a una persona.",
    "de": "Das habe ich nicht gut genug verstanden. Können Sie es anders sagen? Ich kann auch einen Menschen holen.",
    "fr": "Je n'ai pas assez bien compris. Pouvez-vous le dire autrement ? Je peux aussi appeler une personne.",
    "pt": "Não percebi o suficiente para ajudar. Pode dizê-lo de outra forma? Também posso chamar uma pessoa.",
    "id": "Saya belum cukup paham untuk membantu. Bisa disampaikan dengan kata lain? Saya juga bisa memanggil petugas.",
}
CANNOT = {
    "en": "I can't do that: I look things up in our documents and use our services, but I don't write, translate or "
    "calculate. I can bring a person, if you like.",
    "es": "No puedo hacer eso: busco en nuestros documentos y uso nuestros servicios, pero no redacto, traduzco ni "
    "calculo. Si lo desea, puedo avisar a una persona.",
    "de": "Das kann ich nicht: Ich suche in unseren Unterlagen und nutze unsere Dienste, aber ich schreibe, übersetze "
    "und rechne nicht. Wenn Sie möchten, hole ich einen Menschen.",
    "fr": "Je ne peux pas faire cela : je cherche dans nos documents et j'utilise nos services, mais je ne rédige, ne "
    "traduis et ne calcule pas. Si vous le souhaitez, je peux appeler une personne.",
    "pt": "Não consigo fazer isso: procuro nos nossos documentos e uso os nossos serviços, mas não escrevo, não "
    "traduzo nem calculo. Se quiser, posso chamar uma pessoa.",
    "id": "Saya tidak bisa melakukan itu: saya mencari di dokumen dan memakai layanan kami, tetapi tidak menulis, "
    "menerjemahkan, atau menghitung. Bila perlu, saya bisa memanggil petugas.",
}
ABANDONED = {
    "en": "All right, I've dropped that. What else can I do for you?",
    "es": "De acuerdo, lo dejamos. ¿En qué más puedo ayudarle?",
    "de": "In Ordnung, das lassen wir. Was kann ich sonst für Sie tun?",
    "fr": "Très bien, on laisse cela. Que puis-je faire d'autre pour vous ?",
    "pt": "Está bem, deixamos isso. Em que mais posso ajudar?",
    "id": "Baik, itu kita batalkan. Ada lagi yang bisa saya bantu?",
}
FAILED = {
    "en": "That did not work: {}",
    "es": "No ha funcionado: {}",
    "de": "Das hat nicht geklappt: {}",
    "fr": "Cela n'a pas fonctionné : {}",
    "pt": "Não funcionou: {}",
    "id": "Itu tidak berhasil: {}",
}
DONE = {"en": "Done.", "es": "Hecho.", "de": "Erledigt.", "fr": "C'est fait.", "pt": "Feito.", "id": "Selesai."}
NOTHING = {
    "en": "There is nothing to show.",
    "es": "No hay nada que mostrar.",
    "de": "Es gibt nichts anzuzeigen.",
    "fr": "Il n'y a rien à afficher.",
    "pt": "Não há nada para mostrar.",
    "id": "Tidak ada yang dapat ditampilkan.",
}


def say(sentences: dict[str, str], language: str) -> str:
    return sentences.get(language[:2].lower(), sentences["en"])
