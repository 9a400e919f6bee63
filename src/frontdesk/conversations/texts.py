"""The few sentences that frontdesk itself says in a conversation, in the contact's language."""

from collections.abc import Mapping

FAILED: Mapping[str, str] = {
    "en": "Sorry, something went wrong and I could not answer this. Please try again, or ask for a person.",
    "es": "Lo siento, algo ha fallado y no he podido responder. Inténtelo de nuevo o pida hablar con una persona.",
    "de": "Leider ist etwas schiefgegangen, ich konnte das nicht beantworten. "
    "Bitte versuchen Sie es noch einmal, oder fragen Sie nach einem Menschen.",
    "fr": "Désolé, un problème m'a empêché de répondre. Réessayez, ou demandez à parler à une personne.",
    "pt": "Desculpe, algo correu mal e não consegui responder. Tente de novo ou peça para falar com uma pessoa.",
    "id": "Maaf, terjadi kesalahan dan saya tidak dapat menjawab. Silakan coba lagi, atau minta bicara dengan petugas.",
}

# The tenant may spend nothing more on models, or ask none this minute, and nobody else can answer.
USED_UP: Mapping[str, str] = {
    "en": "I can't answer this at the moment: our assistant has reached its limit. "
    "Please try again later, or ask for a person.",
    "es": "Ahora mismo no puedo responder: nuestro asistente ha llegado a su límite. "
    "Inténtelo más tarde o pida hablar con una persona.",
    "de": "Das kann ich gerade nicht beantworten: Unser Assistent hat seine Grenze erreicht. "
    "Bitte versuchen Sie es später noch einmal, oder fragen Sie nach einem Menschen.",
    "fr": "Je ne peux pas répondre pour le moment : notre assistant a atteint sa limite. "
    "Réessayez plus tard, ou demandez à parler à une personne.",
    "pt": "De momento não consigo responder: o nosso assistente atingiu o seu limite. "
    "Tente mais tarde ou peça para falar com uma pessoa.",
    "id": "Saat ini saya tidak dapat menjawab: asisten kami telah mencapai batasnya. "
    "Silakan coba lagi nanti, atau minta bicara dengan petugas.",
}

PART_FAILED: Mapping[str, str] = {
    "en": "I could not answer the part about {topic}. Please ask it again, or ask for a person.",
    "es": "No he podido responder a la parte sobre {topic}. Pregunte de nuevo o pida hablar con una persona.",
    "de": "Den Teil zu {topic} konnte ich nicht beantworten. Bitte fragen Sie noch einmal, oder nach einem Menschen.",
    "fr": "Je n'ai pas pu répondre à la partie sur {topic}. Reposez la question, ou demandez une personne.",
    "pt": "Não consegui responder à parte sobre {topic}. Pergunte de novo ou peça para falar com uma pessoa.",
    "id": "Saya tidak dapat menjawab bagian tentang {topic}. Silakan tanyakan lagi, atau minta bicara dengan petugas.",
}

ANEW: Mapping[str, str] = {
    "en": "I can't read our earlier conversation any more, so we start anew.",
    "es": "Ya no puedo leer nuestra conversación anterior, así que empezamos de nuevo.",
    "de": "Unser bisheriges Gespräch kann ich nicht mehr lesen, wir fangen also neu an.",
    "fr": "Je ne peux plus lire notre conversation précédente, nous recommençons donc.",
    "pt": "Já não consigo ler a nossa conversa anterior, por isso começamos de novo.",
    "id": "Saya tidak dapat lagi membaca percakapan kita sebelumnya, jadi kita mulai dari awal.",
}

BACK_TO: Mapping[str, str] = {
    "en": "Back to where we were: {question}",
    "es": "Volviendo a lo anterior: {question}",
    "de": "Zurück zu vorhin: {question}",
    "fr": "Pour revenir à notre sujet : {question}",
    "pt": "Voltando ao que estávamos a tratar: {question}",
    "id": "Kembali ke pembicaraan tadi: {question}",
}

HUMAN: Mapping[str, str] = {
    "en": "I have asked a person of our team to look at this conversation.",
    "es": "He pedido a una persona de nuestro equipo que atienda esta conversación.",
    "de": "Ich habe einen Menschen aus unserem Team gebeten, sich dieses Gespräch anzusehen.",
    "fr": "J'ai demandé à une personne de notre équipe de suivre cette conversation.",
    "pt": "Pedi a uma pessoa da nossa equipa que veja esta conversa.",
    "id": "Saya sudah meminta petugas kami untuk menangani percakapan ini.",
}


def said(texts: Mapping[str, str], language: str, **values: str) -> str:
    """In the language, or in English."""
    return texts.get(language, texts["en"]).format(**values)
