/** The file in a bundle's directory. */
export declare const LICENCES_FILE: string;

/** The licences and notices of every installed package that one of the files is of. */
export declare function licenceTexts(files: readonly string[]): Promise<string>;
