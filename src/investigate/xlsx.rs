//! The table as a workbook of Office Open XML (ECMA-376), as small as one can be: one sheet, texts
//! in the cells themselves.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;

use super::Dossier;
use super::graph::escaped;
use super::table::{COLUMNS, lines};

/// The most octets of one cell (the format allows 32,767 characters).
const CELL_CHARS_MAX: usize = 32_000;

const CONTENT_TYPES: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>"#;
const RELATIONS: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#;
const WORKBOOK: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="investigation" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
const WORKBOOK_RELATIONS: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#;

/// The workbook.
pub fn xlsx(dossier: &Dossier) -> Vec<u8> {
    let sheet = sheet(dossier);
    let mut file = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [
        ("[Content_Types].xml", CONTENT_TYPES),
        ("_rels/.rels", RELATIONS),
        ("xl/workbook.xml", WORKBOOK),
        ("xl/_rels/workbook.xml.rels", WORKBOOK_RELATIONS),
        ("xl/worksheets/sheet1.xml", &sheet),
    ] {
        let written = file.start_file(name, SimpleFileOptions::default());
        let written = written.map_err(std::io::Error::other);
        written.and_then(|()| file.write_all(text.as_bytes())).expect("memory takes all");
    }
    file.finish().expect("memory takes all").into_inner()
}

fn sheet(dossier: &Dossier) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
         <worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>",
    );
    let rows = std::iter::once(COLUMNS.map(str::to_owned)).chain(lines(dossier));
    for row in rows {
        out.push_str("<row>");
        for cell in row {
            let cell: String = cell.chars().take(CELL_CHARS_MAX).collect();
            let text = escaped(&cell);
            out.push_str("<c t=\"inlineStr\"><is><t xml:space=\"preserve\">");
            out.push_str(&text);
            out.push_str("</t></is></c>");
        }
        out.push_str("</row>");
    }
    out.push_str("</sheetData></worksheet>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_workbook_has_all_its_parts_and_every_line() {
        let dossier = super::super::tests::dossier();
        let mut file = zip::ZipArchive::new(Cursor::new(xlsx(&dossier))).unwrap();
        assert_eq!(file.len(), 5);
        let mut sheet = String::new();
        file.by_name("xl/worksheets/sheet1.xml").unwrap().read_to_string(&mut sheet).unwrap();
        assert_eq!(sheet.matches("<row>").count(), lines(&dossier).len() + 1);
        assert!(!sheet.contains("<script") && sheet.contains("&lt;script&gt;"));
    }
}
